"""The judge has a module of this name too; each server means its own."""

NAME = "placed"
