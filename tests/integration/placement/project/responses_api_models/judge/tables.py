"""The environment has a module of this name too; each server means its own."""

NAME = "judge"
