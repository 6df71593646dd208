"""Ticking: what the leading beat does for the schedules. It looks, and settles what is due, edited or free again.

`firing.settle` is the one door: everything that happens to a schedule happens there, in one transaction.
"""
