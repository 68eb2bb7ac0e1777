"""What Hydra and OmegaConf say of a value or an override, in words that need no knowledge of either."""

import re

from hydra.core.override_parser.overrides_parser import create_functions
from hydra.errors import OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from dlhw.errors import did_you_mean, first_line

# What stands behind a key, by OmegaConf's words for it; {0} and on: the groups of the expression.
OF_VALUES = {
    r"Value '(.*)' of type '.*' could not be converted to Integer": "={0}: must be int",
    r"Value '(.*)' of type '.*' could not be converted to Float": "={0}: must be float",
    r"Value '(.*)' is not a valid bool": "={0}: must be true or false",
    r"Cannot convert '.*' to string: '(.*)'": "={0}: must be str",
    r"Value '(.*)' (?:of type '.*' )?is incompatible with type hint": "={0}: is of another type than this key's values",
    r"Incompatible value '(.*)' for field of type": "={0}: is of another type than this key's values",
    r"Cannot assign container '(.*)' of type": "={0}: must be a single value",
    r"Cannot assign (\w+) to (\w+)": ": is of another type than this key's values",
    r"(?:Invalid type assigned|Merge error): .* value: (.*)": "={0}: must be a mapping with this key's own keys",
    r"Invalid value assigned: (\w+) is not a (?:List|Dict)Config": ": must be a list or mapping",
    r"Invalid value '(.*)', expected one of \[(.*)\]": "={0}: is one of {1}",
    r"field '.*' is not Optional|is not optional and cannot be assigned None": "=null: must have a value",
    r"Cannot merge \w+Config with \w+Config": ": a list stands here for a mapping, or a mapping for a list",
    r"Value (.*) \(\w+\) is not a valid input for": "={0}: is none of this key's values",
    r"does not support deletion": ": every config has this key, so it cannot be taken away",
    r"Interpolation key '(.*)' not found": ": there is no key for its ${{{0}}}",
    r"Unsupported interpolation type (.*)": ": there is no function {0} for its ${{{0}:…}}",
    r"(?:Recursive interpolation|Interpolation to parent node) detected": ": its ${{…}} leads back to itself",
    r"KeyError raised while resolving interpolation: \"?(.*?)\"?$": ": its ${{…}} cannot be worked out: {0}",
    r"\w+ (?:raised )?while resolving interpolation: (?:Missing mandatory value: )(.*)":
        ": its ${{…}} needs {0}, which is missing",
    r"\w+ (?:raised )?while resolving interpolation:": ": its ${{…}} cannot be worked out from what it is given",
    r"While dereferencing interpolation|Error resolving key": ": its ${{…}} cannot be worked out",
    r"Missing mandatory value": " is missing",
    r"Incompatible key type|is incompatible with \(str\)|Unsupported key type":
        ": a key must be text, and one here is not",
    r"Index '(.*)' \(\w+\) is not an int": ": is a list, whose places are numbers, and {0} is none",
    r"Exceeds the limit \(": ": a whole number has more digits than can be read",
    r"node `(.*)` is not a container": ": {0} has a value, and no keys below it",
    r"not a supported primitive type|unsupported type: '":
        ": dates, sets and bytes are no values here; write text in quotes",
    r"(?:mismatched|extraneous) input|no viable alternative|token recognition|missing \S+ at '":
        ": its ${{…}} cannot be read",
    r"ListConfig indices must be integers": ": is a list, and a list has no such key",
}  # fmt: skip
# The whole line, by Hydra's words for what it cannot compose.
OF_COMPOSING = {
    r"invalid literal for int\(\) with base 10: '(.*?)'": "{0}: is no number, and the places of a list are numbers",
    r"path=(.*) is not available": "hydra.searchpath: {0} is no folder",
    r"'(.*?)' is validated against ConfigStore schema":
        "{0}: dlhw has an option of this name; give your file another one",
    r"(\S+) appears more than once in the final defaults list": "{0} is chosen twice; leave one of the two out",
    r"Could not append to config\. An item is already at '(.*?)'": "{0} is in the config already: it needs no +",
    r"Could not delete '(.*?)'\. No match in the defaults list":
        "~{0}: that option is not chosen, so it cannot be taken away",
    r"Could not delete from config\. The value of '(.*?)' is ":
        "~{0}=…: has another value; ~{0} takes it away whatever it is",
    r"Could not override '(.*?)'.*Did you mean to override (.*?)\?":
        "{0}: is not chosen in that place; did you mean {1}?",
    r"Could not override '(.*?)'\. No match in the defaults list": "{0}: is not chosen in that place",
    r"force-add of config groups is not supported: '\++(.*?)'": "++{0}: an option is chosen without a plus, as in {0}",
    r"Config group override deletion value must be a string": "an option is taken away by its name, as in ~model=fc",
    r"Sweep parameters '(.*?)' requires --multirun": "{0}: several values; add -m to sweep over them",
    r"does not support sweep type":
        "interval(…) is for hydra/sweeper=optuna; a sweep takes single values, as in 1,2 or range(3)",
    r"object has no attribute.*full_key: (\S+)": "{0}: has no keys yet to which others could be added",
    r"range\(\) arg 3 must not be zero|Invalid range values|decimal.InvalidOperation":
        "range(…): its step must lead from the first number to the last",
    r"(?:header format|Too many components).*|Expected header":
        "the first line of the file must be '# @package _global_', or nothing of that kind",
    r"defaults list in '(.*?)', defaults must be a list": "in {0}: defaults must be a list, as [override /model: fc]",
    r"(?:type|item value) in defaults|Too many keys in default item":
        "an entry of a defaults list is a file or one group with its option, as - override /model: fc",
    r"Error resolving interpolation '(.*?)', possible interpolation keys: (.*)":
        "defaults: {0} is no group chosen before it ({1})",
    r"Duplicate _self_ defined in (\S+)": "in {0}: _self_ stands twice in the defaults list",
    r"completion plugin for '(.*?)'": "--shell-completion {0}: is one of install=bash, install=zsh, install=fish",
    r"Expecting one subcommand from": "--shell-completion: takes one word, as in install=bash",
    r"Exceeds the limit \(": "a whole number has more digits than can be read",
}  # fmt: skip
PAIRS = {"[": "]", "{": "}", "(": ")"}


def said_of_value(error: OmegaConfBaseException | str) -> str:
    """What is to follow the key: `=ten: must be int`; OmegaConf's own first line where it is none that is known."""
    words = first_line(error)
    for pattern, ours in OF_VALUES.items():
        if found := re.search(pattern, words, re.DOTALL):
            return ours.format(*found.groups())
    return f": {words}"


def said_of_composing(words: str) -> str | None:
    """The line for one of Hydra's own; None where it is none that is known."""
    for pattern, ours in OF_COMPOSING.items():
        if found := re.search(pattern, words, re.DOTALL):
            return ours.format(*found.groups())
    return None


def said_of_override(error: OverrideParseException) -> str:
    """A word of the command line that Hydra's grammar does not take."""
    override = error.override
    key, equals, value = override.partition("=")
    if found := re.search(r"while evaluating '(.*)': ", str(error)):
        return f"{override}: {said_of_call(found[1])}"
    if not equals and not key.startswith("~"):
        return f"{override or repr('')}: is not of the form KEY=VALUE"
    if not re.fullmatch(r"(\+{0,2}|~)[A-Za-z_][\w$]*([./@:-]+[\w$]+)*", key):
        return f"{override}: {key or repr('')} cannot be a key; an override is KEY=VALUE, as in optimizer.lr=0.1"
    if left := left_open(value):
        return f"{override}: {left} is without its other half"
    return (
        f"{override}: the value cannot be read; text with signs in it needs quotes of its own, as in '{key}=\"a, b\"'"
    )


def said_of_call(call: str) -> str:
    """A function of the grammar, such as range(3), that is none or takes something else."""
    name, known = call.partition("(")[0], sorted(create_functions().functions)
    if name not in known:
        return f"there is no function {name}(…) ({', '.join(known)}){did_you_mean(name, known)}"
    return f"{call} cannot be worked out; {name}(…) takes other values than these"


def left_open(text: str) -> str | None:
    """The first sign in a value that wants its other half."""
    quote, opened = "", list[str]()
    for sign in re.sub(r"\\.", "", text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in PAIRS:
            opened.append(sign)
        elif sign in PAIRS.values() and (not opened or PAIRS[opened.pop()] != sign):
            return sign
    return quote or (opened[-1] if opened else None)
