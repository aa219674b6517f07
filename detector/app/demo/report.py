"""The end of a demonstration: what was found, what was not, and the figures.

Not here: matching alerts to events (``judge``), tables and colours (``view``), what to look at next (``next_steps``).
"""

from __future__ import annotations

from detector.app.demo.judge import Judgement, judge
from detector.app.demo.live import Played
from detector.app.demo.play import Play
from detector.app.demo.tables import seconds
from detector.app.demo.view import Screen
from detector.settings import Settings


def report(play: Play, played: Played, settings: Settings, began: float, screen: Screen) -> None:
    """Show the verdict and the figures.

    Parameters
    ----------
    play, played : Play, Played
        What was played and what came of it.
    settings : Settings
        Of the application.
    began : float
        When the demonstration began (`time.time`).
    screen : Screen
        Where to show it.
    """
    with screen.drawn():
        screen.heading("What was found")
        if play.events is not None:
            judgement = judge(play.events, played.received, played.sent_at)
            _verdicts(judgement, played, screen)
    if play.events is not None:
        screen.false_openings(judgement)
    _new_sensors(played, settings, screen)
    screen.gap()
    screen.facts(_facts(play, played, settings, began))


def _verdicts(judgement: Judgement, played: Played, screen: Screen) -> None:
    if judgement.verdicts:
        screen.events(judgement)
        screen.gap()
    else:
        screen.line("The live part has no labelled event.")
    found, events = sum(verdict.openings > 0 for verdict in judgement.verdicts), len(judgement.verdicts)
    rest = sum(not verdict.event.covered and not verdict.openings for verdict in judgement.verdicts)
    false, windows = len(judgement.false_openings), played.readings.windows
    share = f", 1 in {windows // false:,}" if false else ""
    left = f" ({rest} not covered yet)" if rest else ""
    alerts = "alert" if false == 1 else "alerts"
    screen.line(f"{found} of {events} detected{left}; {false:,} false {alerts} in {windows:,} windows judged{share}")


def _new_sensors(played: Played, settings: Settings, screen: Screen) -> None:
    """Say what became of sensors that no training has seen."""
    judged = "judged by the model of all sensors" if settings.model.population else "not judged"
    for name in played.new_sensors:
        own = [each for each in played.received if each.name == name and each.opening]
        opened = f"{len(own)} incident{'s' * (len(own) != 1)} opened"
        screen.line(f"{name} is new and has no history: it is learning, {judged}; {opened}")


def _facts(play: Play, played: Played, settings: Settings, began: float) -> dict[str, str]:
    rate = played.records / played.seconds if played.seconds else 0.0
    opened = sum(each.opening for each in played.received)
    not_closed = "" if played.all_closed else "; NOT ALL CLOSED in time"
    facts = {
        "threshold": f"set for 1 normal window in {1 / settings.model.false_alarm_rate:,.0f} "
        "(model.false_alarm_rate; by default 1 in 1,000)",
        "records": f"{played.records:,} live in {seconds(played.seconds)}, {rate:,.0f}/s at this speed; "
        f"in the busiest batch {played.busiest:,.0f}/s",
        "windows": f"{played.readings.windows:,} scored{not_closed}",
        "alerts": f"{len(played.received):,} read: {opened:,} opened, {len(played.received) - opened:,} resolved",
        "lag": f"{played.readings.lag:,} records unread at the end",
        "dead letters": f"{played.dead_letters:,} published, {play.broken:,} broken records sent",
    }
    if played.received:
        first = min(each.at for each in played.received)
        facts["first alert"] = f"{seconds(first - began)} after the start of the demonstration"
    return facts
