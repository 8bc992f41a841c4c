"""Accounts, and who may see which."""

from config.env import choice

# Who may list all users: administrators; everyone who is logged in, where people work together;
# or nobody, where each is a customer of their own.
USER_LIST_ACCESS = choice(
    "USER_LIST_ACCESS",
    default="administrators",
    choices=("everyone", "administrators", "nobody"),
)
