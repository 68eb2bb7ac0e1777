"""The doors, for every test here."""

from doors import a_place_of_its_own, door, process

__all__ = ["a_place_of_its_own", "door", "process"]
