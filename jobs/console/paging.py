"""Lists that stay fast at a million rows."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator

if TYPE_CHECKING:
    AnyPaginator = Paginator[Any]
else:  # Django's class takes no type at run time
    AnyPaginator = Paginator

#: A list counts no further; older rows are found by filters and search.
CAP = 10_000


class CappedPaginator(AnyPaginator):
    """A paginator whose COUNT stops at CAP rows."""

    @cached_property
    def count(self) -> int:  # type: ignore[override]
        rows: Any = self.object_list
        return int(rows.order_by()[:CAP].count())
