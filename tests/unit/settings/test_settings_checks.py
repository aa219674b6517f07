"""Checks between settings."""

from __future__ import annotations

from datetime import timedelta

import pytest

from detector.errors import ConfigError
from detector.settings import load

SOURCE = "source.topics=[sensors]"
SASL = ["kafka.security.protocol=SASL_SSL", "kafka.security.sasl_mechanism=PLAIN", "kafka.security.username=u"]


def read(*flags):
    return load(None, [SOURCE, *flags], {})


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        (SASL, "needs password"),
        (["kafka.security.protocol=SASL_SSL"], "needs sasl_mechanism, username, password"),
        (["kafka.security.username=u"], "username would have no effect with protocol PLAINTEXT"),
        (["kafka.security.ca_file=ca.pem"], "there is no file 'ca.pem'"),
        (["kafka.bootstrap_servers=kafka"], "'kafka' is not host:port"),
        (["kafka.bootstrap_servers=a:1,b:70000"], "'b:70000' is not host:port"),
        (["source.topic_pattern=x"], "topics and topic_pattern are both set"),
        (["source.topics=[a, a]"], "names a topic twice"),
        (["source.topics=[]"], "source.topics"),
        (["source.topics=[a b]"], "'a b' is not a topic name"),
        (["source.topics=null", "source.topic_pattern=(x"], "is not a regular expression"),
        (["source.topics=null", "source.topic_pattern=.*"], "alerts.topic 'alerts' is also read as a source"),
        (["source.topics=[alerts]"], "also read as a source"),
        (["dead_letter.topic=alerts"], "alerts.topic and dead_letter.topic are both 'alerts'"),
        (["alerts.commits_topic=a/b"], "'a/b' is not a topic name"),
        (["app.name=a.b"], "'a.b' is not a name"),
        (["source.heartbeat_after=39s"], "source.heartbeat_after 39s is shorter than windows.length"),
        (["source.heartbeat_topic=sensors"], "source.heartbeat_topic 'sensors' is also read as a source"),
        (["windows.slide=3s"], "slide 3s does not divide length 10s"),
        (["windows.slide=20s"], "does not divide"),
        (["records.fields.value=temp"], "is not a path of object keys"),
        (["records.fields.value=$.timestamp.x"], "value lies at or inside timestamp"),
        (["records.timezone=Mars/Base"], "is not an IANA time zone"),
        (["records.asset.template={room}"], "template has {room}"),
        (["records.asset.template={sensor_id!r}"], "as they stand"),
        (["records.asset.template={sensor_id"], "is malformed"),
        (["records.asset.pattern=(?P<topic>x)"], "pattern names a group topic"),
        (["records.asset.source=mapping"], "needs mapping or mapping_file"),
        (["records.asset.mapping.s=a"], "mapping would have no effect with source: template"),
        (["records.asset.source=field", "records.asset.pattern=x"], "pattern would have no effect"),
        (["records.ranges=[{sensors: '*/*'}]"], "neither min nor max"),
        (["records.ranges=[{sensors: '*/*', min: 2, max: 1}]"], "min 2 is above max 1"),
        (["records.ranges=[{sensors: temp, min: 2}]"], "does not say asset and sensor"),
        (["state.checkpoint=s3://bucket/x"], "is an address"),
        (["model.registry=s3://"], "names no place"),
        (["model.registry=s3://id:hunter2@bucket/x"], "must not hold credentials"),
        (["model.trusted_keys=[keys/none.pem]"], "there is no file 'keys/none.pem'"),
        (["spark.master=loca"], "is not a Spark master"),
        (["spark.driver_memory=2"], "write 512m or 2g"),
        (["spark.conf.ui=x"], "write spark.ui"),
        (["spark.conf.spark.sql.shuffle.partitions=8"], "set state.shuffle_partitions instead"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_with_the_way_out(flags, wanted):
    with pytest.raises(ConfigError) as caught:
        read(*flags)
    assert wanted in str(caught.value)


def test_a_problem_between_settings_names_the_flags_that_set_them():
    with pytest.raises(ConfigError, match=r"\(set by flag windows.length, flag windows.slide\)"):
        read("windows.length=10s", "windows.slide=3s")


def test_sasl_over_tls_with_a_client_certificate_is_accepted(tmp_path):
    for name in ("ca", "cert", "key"):
        (tmp_path / name).write_text("pem", encoding="ascii")
    files = {"ca_file": "ca", "certificate_file": "cert", "key_file": "key"}
    flags = [f"kafka.security.{name}={tmp_path / file}" for name, file in files.items()]
    security = read(*SASL, "kafka.security.password=p", *flags).kafka.security
    assert security.password is not None
    assert security.password.get_secret_value() == "p"
    with pytest.raises(ConfigError, match="certificate_file and key_file go together"):
        read("kafka.security.protocol=SSL", flags[1])
    with pytest.raises(ConfigError, match="key_password needs key_file"):
        read("kafka.security.protocol=SSL", "kafka.security.key_password=x")


def test_a_sliding_window_whose_slide_divides_its_length_is_accepted():
    windows = read("windows.length=1m", "windows.slide=20s").windows
    assert (windows.length, windows.slide) == (timedelta(minutes=1), timedelta(seconds=20))


def test_the_commits_topic_follows_the_name_of_the_application_unless_it_is_set():
    assert read("app.name=plant").alerts.commits_topic == "plant.commits"
    assert read("app.name=plant", "alerts.commits_topic=x").alerts.commits_topic == "x"


def test_a_template_may_use_the_named_groups_of_the_pattern():
    asset = read("records.asset.template={area}-{topic}", "records.asset.pattern=(?P<area>[^/]+)/.*").records.asset
    assert asset.template == "{area}-{topic}"


def test_a_mapping_file_becomes_the_mapping(tmp_path):
    path = tmp_path / "assets.yaml"
    path.write_text("0123: pump-1\nno: pump-2\n", encoding="utf-8")
    asset = read("records.asset.source=mapping", f"records.asset.mapping_file={path}").records.asset
    assert asset.mapping == {"0123": "pump-1", "no": "pump-2"}
    with pytest.raises(ConfigError, match="both set"):
        read("records.asset.mapping.a=b", f"records.asset.mapping_file={path}")


@pytest.mark.parametrize("text", ["- a", "a: [b]", "a: {", ""])
def test_a_mapping_file_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "assets.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"records\.asset"):
        read("records.asset.source=mapping", f"records.asset.mapping_file={path}")


def test_an_absent_mapping_file_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml cannot be read"):
        read("records.asset.source=mapping", f"records.asset.mapping_file={tmp_path / 'absent.yaml'}")
