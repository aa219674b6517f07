"""JSON paths of the fields of a record: ``$.payload.temp`` or ``$['a.b'].c``.

Not here: reading a record (``decode``). Only object keys are supported: an index or a wildcard
would make one record several, which is another format.
"""

from __future__ import annotations

import re

_STEP = re.compile(r"""\.([^.\[\]'"\s]+)|\['([^']+)'\]|\["([^"]+)"\]""")


def parse_path(text: str) -> tuple[str, ...]:
    """Split a JSON path into its object keys.

    Parameters
    ----------
    text : str
        ``$`` followed by one or more ``.key`` or ``['key']`` steps.

    Returns
    -------
    tuple of str
        The keys from the outside in; never empty.

    Raises
    ------
    ValueError
        If the text is anything else; the message shows the accepted forms.
    """
    steps: list[str] = []
    position = 1
    while text.startswith("$") and position < len(text):
        step = _STEP.match(text, position)
        if step is None:
            break
        steps.append(next(group for group in step.groups() if group is not None))
        position = step.end()
    if not steps or position != len(text):
        raise ValueError(f"{text!r} is not a path of object keys; write $.key, $.outer.inner or $['a.b'].c")
    return tuple(steps)
