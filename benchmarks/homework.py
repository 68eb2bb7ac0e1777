"""The loop of the reports as a script of its own: a net on Fashion-MNIST, one learning rate, a line an epoch.

What benchmarks/sweep.py compares a sweep with. It is written the way such scripts are, on purpose: torchvision's data
set, ToTensor, a DataLoader, item() each step, torch's own number of threads.

    python benchmarks/homework.py --net lenet5 --lr 0.001 --epochs 2 --data data
"""

import argparse

import torch
from torch import nn
from torchvision import datasets, transforms

parser = argparse.ArgumentParser(description="A net on Fashion-MNIST, the homework way")
parser.add_argument("--net", choices=("lenet5", "fc"), default="lenet5")
parser.add_argument("--lr", type=float, default=0.001)
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--data", default="data")
parser.add_argument("--device", default="cpu")
args = parser.parse_args()

train_set = datasets.FashionMNIST(args.data, train=True, transform=transforms.ToTensor())
test_set = datasets.FashionMNIST(args.data, train=False, transform=transforms.ToTensor())
train_loader = torch.utils.data.DataLoader(train_set, batch_size=100, shuffle=True)
test_loader = torch.utils.data.DataLoader(test_set, batch_size=100)

if args.net == "lenet5":
    net = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), nn.AvgPool2d(2)),
        *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )
else:
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 10))
net.to(args.device)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=args.lr)

for epoch in range(args.epochs):
    net.train()
    total = 0.0
    for inputs, targets in train_loader:
        inputs, targets = inputs.to(args.device), targets.to(args.device)
        loss = loss_fn(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    net.eval()
    right = 0
    with torch.no_grad():
        for inputs, targets in test_loader:
            inputs, targets = inputs.to(args.device), targets.to(args.device)
            right += (net(inputs).argmax(1) == targets).sum().item()
    print(
        f"lr {args.lr}, epoch {epoch + 1}: loss {total / len(train_loader):.4f}, accuracy {right / len(test_set):.4f}"
    )
