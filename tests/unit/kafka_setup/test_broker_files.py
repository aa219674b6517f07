from __future__ import annotations

from pathlib import Path

from detector.kafka.broker_files import Node, plan_nodes, server_properties, write_files
from detector.kafka.ports import PORTS, free_port


def settings(node: Node, *others: Node) -> dict[str, str]:
    lines = server_properties(node, [node, *others]).splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_one_node_asks_for_one_copy_of_everything() -> None:
    alone = settings(Node(1, Path("/data"), 9092, 9093))
    endings = ("replication.factor", "min.isr", "insync.replicas")
    assert {value for key, value in alone.items() if key.endswith(endings)} == {"1"}
    assert alone["auto.create.topics.enable"] == "false"


def test_the_broker_listens_on_the_loopback_only() -> None:
    alone = settings(Node(1, Path("/data"), 9092, 9093))
    assert alone["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert alone["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"


def test_a_node_of_three_knows_all_voters() -> None:
    nodes = [Node(i, Path(f"/data-{i}"), 9000 + i, 9100 + i) for i in (1, 2, 3)]
    second = settings(nodes[1], nodes[0], nodes[2])
    assert second["controller.quorum.voters"] == "2@127.0.0.1:9102,1@127.0.0.1:9101,3@127.0.0.1:9103"
    assert second["transaction.state.log.replication.factor"] == "3"
    assert second["transaction.state.log.min.isr"] == "2"


def test_a_node_behind_a_proxy_sends_the_clients_of_that_listener_to_it() -> None:
    proxied = settings(Node(1, Path("/data"), 9092, 9093, proxied_port=9094, proxy_port=9095))
    assert proxied["listeners"].endswith(
        "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093,PROXIED://127.0.0.1:9094"
    )
    assert proxied["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092,PROXIED://127.0.0.1:9095"


def test_three_nodes_take_consecutive_ports_for_clients_and_others_for_themselves() -> None:
    nodes = plan_nodes(Path("/data"), 3, port=9092, proxy_port=9192)
    assert [node.port for node in nodes] == [9092, 9093, 9094]
    assert [node.proxy_port for node in nodes] == [9192, 9193, 9194]
    assert [node.directory for node in nodes] == [Path(f"/data/node-{number}") for number in (1, 2, 3)]
    own = {port for node in nodes for port in (node.controller_port, node.proxied_port)}
    assert len(own) == 6
    assert own <= set(PORTS)


def test_without_a_proxy_there_is_no_listener_for_it() -> None:
    (alone,) = plan_nodes(Path("/data"), 1, port=0, proxy_port=0)
    assert (alone.proxied_port, alone.proxy_port) == (0, 0)
    assert alone.port in PORTS


def test_writing_the_files_again_keeps_the_data(tmp_path: Path) -> None:
    node = Node(1, tmp_path / "broker", 9092, 9093)
    write_files(node, [node])
    node.data.mkdir()
    (node.data / "meta.properties").write_text("cluster.id=x")
    write_files(node, [node])
    assert (node.data / "meta.properties").read_text() == "cluster.id=x"
    assert str(node.log) in node.logging.read_text()


def test_free_ports_are_below_those_of_outgoing_connections() -> None:
    first = free_port()
    assert first in PORTS
    assert free_port(*(port for port in PORTS if port != first)) == first
