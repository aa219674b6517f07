"""The end of a demonstration: what was found, what was not, and where everything is.

Not here: matching alerts to events (``judge``), tables and colours (``view``).
"""

from __future__ import annotations

from pathlib import Path

from detector.app.demo.judge import Judgement, judge
from detector.app.demo.live import Played
from detector.app.demo.play import BROKER_DIRECTORY, Play
from detector.app.demo.view import Screen, seconds
from detector.settings import Settings


def report(play: Play, played: Played, settings: Settings, kept: Path | None, screen: Screen) -> None:
    """Show the verdict and the figures.

    Parameters
    ----------
    play, played : Play, Played
        What was played and what came of it.
    settings : Settings
        Names of topics, places of model and checkpoint.
    kept : Path or None
        The directory, if it stays.
    screen : Screen
        Where to show it.
    """
    screen.heading("What was found")
    if play.events is not None:
        judgement = judge(play.events, played.received, played.sent_at)
        _verdicts(judgement, played, screen)
    screen.facts(_facts(play, played, settings))
    if kept is None:
        screen.line("All of it was in a temporary directory, which is removed now; --keep-files DIR keeps it.")
    else:
        screen.line(f"Model, checkpoint, logs and the broker's data are kept in {kept}")
        screen.line(f"Its Kafka comes back with: tidemark broker --dir {kept / BROKER_DIRECTORY}")


def _verdicts(judgement: Judgement, played: Played, screen: Screen) -> None:
    if judgement.verdicts:
        screen.events(judgement)
    else:
        screen.line("The live part has no labelled event.")
    found = sum(verdict.openings > 0 for verdict in judgement.verdicts)
    covered = sum(verdict.event.covered or verdict.openings > 0 for verdict in judgement.verdicts)
    rest = len(judgement.verdicts) - covered
    false, windows = len(judgement.false_openings), played.readings.windows
    share = f", 1 in {windows // false:,}" if false else ""
    left = f", {rest} not covered yet" if rest else ""
    alerts = "alert" if false == 1 else "alerts"
    screen.line(f"{found} of {covered} detected{left}; {false:,} false {alerts} in {windows:,} windows judged{share}")
    screen.false_openings(judgement)
    screen.line("")


def _facts(play: Play, played: Played, settings: Settings) -> dict[str, str]:
    rate = played.records / played.seconds if played.seconds else 0.0
    opened = sum(each.opening for each in played.received)
    source = ", ".join(settings.source.topics or ())
    still_open = "those of the closing records stay open" if played.all_closed else "NOT ALL CLOSED in time"
    return {
        "records": f"{played.records:,} live in {seconds(played.seconds)}, {rate:,.0f}/s as the speed sets it; "
        f"busiest batch {played.busiest:,.0f}/s",
        "windows": f"{played.readings.windows:,} scored; {still_open}",
        "alerts": f"{len(played.received):,} read: {opened:,} opened, {len(played.received) - opened:,} resolved",
        "lag": f"{played.readings.lag:,} records unread at the end",
        "dead letters": f"{played.dead_letters:,} published, {play.broken:,} broken records sent",
        "metrics": f"{played.url}/metrics (while it ran)",
        "topics": f"{source} -> {settings.alerts.topic}, {settings.dead_letter.topic}, {settings.alerts.commits_topic}",
        "model": f"{settings.model.registry}",
        "checkpoint": f"{settings.state.checkpoint}",
    }
