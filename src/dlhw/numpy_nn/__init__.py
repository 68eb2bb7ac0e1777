"""Neural nets in NumPy alone, to read: layers, losses and optimizers with their derivatives written out.

In reading order: layer.py (what a layer is), linear, activation, loss, sequential, optim, init: a whole net.
Then columns and conv (convolution), pool, batchnorm, dropout, shape, resize, rnn.
"""

from dlhw.numpy_nn import init
from dlhw.numpy_nn.activation import GELU, Identity, LeakyReLU, LogSigmoid, ReLU, Sigmoid, SiLU, Softmax, Tanh
from dlhw.numpy_nn.batchnorm import BatchNorm
from dlhw.numpy_nn.conv import Conv2d, ConvTranspose2d
from dlhw.numpy_nn.conv_by_loops import conv2d_by_loops
from dlhw.numpy_nn.dropout import Dropout
from dlhw.numpy_nn.layer import Array, Layer
from dlhw.numpy_nn.linear import Linear
from dlhw.numpy_nn.loss import CrossEntropyLoss, MSELoss, MultiMarginLoss
from dlhw.numpy_nn.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from dlhw.numpy_nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d
from dlhw.numpy_nn.resize import Upsample
from dlhw.numpy_nn.rnn import RNN
from dlhw.numpy_nn.sequential import Sequential
from dlhw.numpy_nn.shape import Add, Concatenate, Flatten, Index, ZeroPad2d

__all__ = [
    "GELU",
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "AdaptiveAvgPool2d",
    "Add",
    "Array",
    "AvgPool2d",
    "BatchNorm",
    "Concatenate",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "Index",
    "Layer",
    "LeakyReLU",
    "Linear",
    "LogSigmoid",
    "MSELoss",
    "MaxPool2d",
    "MultiMarginLoss",
    "Optimizer",
    "RMSprop",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Upsample",
    "ZeroPad2d",
    "conv2d_by_loops",
    "init",
]
