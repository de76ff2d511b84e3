// SPDX-License-Identifier: Apache-2.0
// Which places a group re-forms on, and what operators change while it serves.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/unit/topology/membership_rehearsal.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;
using rehearsal = membership_rehearsal;

namespace {

rank_place cpu(const char* node, std::uint32_t index) { return {node, {rank_device_kind::cpu, index}}; }

/// Node a with a group of `tensor` ranks, node b with as many of a second group if asked, and spares.
cluster_file one_group(std::uint32_t tensor, std::vector<rank_place> spares = {}) {
  auto file = rehearsal::two_nodes();
  auto& group = file.groups.front();
  group.tensor = tensor;
  group.ranks.clear();
  for (std::uint32_t i = 0; i < tensor; ++i)
    group.ranks.push_back(cpu("a", i));
  file.spares = std::move(spares);
  return file;
}

cluster_file two_groups() {
  auto file = one_group(1);
  auto other = file.groups.front();
  other.name = "g1";
  other.ranks = {cpu("b", 0)};
  file.groups.push_back(other);
  return file;
}

void set_load(rehearsal& test, const std::string& node, const std::string& group, std::uint64_t live) {
  test.nodes.at(node).loads = {{group, live}};
  for (auto& [name, state] : test.nodes)
    state.revision = test.decisions.view().revision;
}

}  // namespace

TEST_CASE("a rank that is started again is taken before a spare") {
  rehearsal test{one_group(2, {cpu("a", 7)})};
  test.settle();
  test.rank("a", "cpu:1").phase = rank_phase::ended;
  test.hear();
  test.follow();
  rehearsal::start_again(test.rank("a", "cpu:1"));
  test.settle();
  CHECK(test.group().phase == group_phase::serving);
  CHECK(test.group().members[1].device == "cpu:1");
  CHECK(test.counts().spares_used == 0);
}

TEST_CASE("a spare stands in for a place that is down, at once, and for one that is late, after a while") {
  for (auto phase : {rank_phase::down, rank_phase::delayed, rank_phase::launching}) {
    rehearsal test{one_group(2, {cpu("a", 7)})};
    test.settle();
    test.rank("a", "cpu:1").phase = rank_phase::ended;
    test.hear();
    test.follow();
    rehearsal::start_again(test.rank("a", "cpu:1"));
    test.rank("a", "cpu:1").phase = phase;
    test.pass(300ms);
    INFO(to_string(phase));
    CHECK((test.group().phase == group_phase::serving) == (phase != rank_phase::launching));
    test.pass(3s);
    REQUIRE(test.group().phase == group_phase::serving);
    CHECK(test.group().members[1].device == "cpu:7");
    CHECK(test.group().full);
  }
}

TEST_CASE("a spare is one group's at a time") {
  auto file = two_groups();
  file.spares = {cpu("a", 7)};
  rehearsal test{file};
  test.settle();
  test.rank("a").phase = rank_phase::down;
  test.rank("b").phase = rank_phase::down;
  test.pass(8s);
  CHECK(test.group(0).phase == group_phase::serving);
  CHECK(test.group(1).phase == group_phase::failed);
  CHECK(test.group(0).members.front().device == "cpu:7");
}

TEST_CASE("a group that may shrink takes the largest smaller shape, and its full one when its places are back") {
  auto file = one_group(4);
  file.groups.front().shrink = true;
  rehearsal test{file};
  test.settle();
  CHECK(test.group().members.size() == 4);
  test.rank("a", "cpu:2").phase = rank_phase::down;
  test.pass(3s);
  CHECK(test.group().phase != group_phase::serving);  // it waits for better first
  test.pass(4s);
  REQUIRE(test.group().phase == group_phase::serving);
  // 3 ranks: tensor 3 does not divide 8 heads, but 3 stages of tensor 1 are legal.
  CHECK(test.group().tensor == 1);
  CHECK(test.group().pipeline == 3);
  CHECK(!test.group().full);
  CHECK(test.counts().shrinks == 1);
  rehearsal::start_again(test.rank("a", "cpu:2"));
  test.pass(7s);
  REQUIRE(test.group().phase == group_phase::serving);
  CHECK(test.group().full);
  CHECK(test.group().members.size() == 4);
  CHECK(test.group().ended.back().cause == loss_cause::none);
  CHECK(test.counts().growths == 1);
}

TEST_CASE("a shape whose ranks do not fit into memory is not taken") {
  auto file = one_group(2);
  file.groups.front().shrink = true;
  auto options = rehearsal::usual();
  options.need = [](std::uint32_t tensor, std::uint32_t) { return (16ULL << 30) / tensor; };
  rehearsal test{file, options};
  test.settle();
  REQUIRE(test.group().phase == group_phase::serving);
  test.rank("a", "cpu:1").phase = rank_phase::down;
  test.pass(8s);
  CHECK(test.group().phase == group_phase::failed);
}

TEST_CASE("a group without places says so soon after a loss, and goes on when they are back") {
  rehearsal test{one_group(1)};
  test.settle();
  test.rank("a").phase = rank_phase::down;
  test.rank("a").message = "ended too often";
  test.pass(6s);
  CHECK(test.group().phase == group_phase::failed);
  CHECK_THAT(test.group().message, ContainsSubstring("a/cpu:0: ended too often"));
  rehearsal::start_again(test.rank("a"));
  test.settle();
  CHECK(test.group().phase == group_phase::serving);
}

TEST_CASE("a drained group takes no new requests, ends when it has none, and comes back when asked") {
  rehearsal test{two_groups()};
  test.settle();
  auto epoch = test.group(0).epoch;
  CHECK(test.decisions.drain("g0", false, test.now).empty());
  test.hear();
  CHECK(test.group(0).draining);
  CHECK(test.group(0).phase == group_phase::serving);
  set_load(test, "b", "g0", 2);
  test.pass(1s);
  CHECK(test.group(0).phase == group_phase::serving);
  CHECK_THAT(test.group(0).message, ContainsSubstring("2 requests"));
  set_load(test, "b", "g0", 0);
  test.settle();
  CHECK(test.group(0).phase == group_phase::drained);
  CHECK(test.group(0).epoch > epoch);
  CHECK(test.group(1).phase == group_phase::serving);
  CHECK(test.decisions.drain("g0", true, test.now).empty());
  test.settle();
  CHECK(test.group(0).phase == group_phase::serving);
  CHECK(!test.group(0).draining);
}

TEST_CASE("a drain is bounded: what has not ended moves") {
  rehearsal test{two_groups()};
  test.settle();
  test.decisions.drain("g0", false, test.now);
  set_load(test, "b", "g0", 1);
  test.pass(31s);
  CHECK(test.group(0).phase == group_phase::drained);
  CHECK(test.group(0).ended.back().cause == loss_cause::none);
}

TEST_CASE("a group moves from a drained node to spares, and a node whose group has nowhere to go is not drained") {
  rehearsal test{one_group(1, {cpu("b", 7)})};
  test.settle();
  CHECK(test.decisions.drain("a", false, test.now).empty());
  test.settle();
  REQUIRE(test.group().phase == group_phase::serving);
  CHECK(test.group().members.front().node == "b");
  CHECK(test.decisions.view().nodes.front().draining);
  CHECK_THAT(test.decisions.drain("b", false, test.now), ContainsSubstring("no place to go"));
  CHECK_THAT(test.decisions.drain("nobody", false, test.now), ContainsSubstring("nobody"));
}

TEST_CASE("a group that is added starts, and the others are not disturbed") {
  rehearsal test{one_group(1)};
  test.settle();
  auto epoch = test.group().epoch;
  auto changed = two_groups();
  changed.fingerprint = 8;
  test.decisions.change(changed, test.now);
  test.hear();  // nodes that have not gone over yet are not refused
  CHECK(test.decisions.view().nodes.front().present);
  test.nodes.at("b") = rehearsal::make_node(changed, "b");
  test.nodes.at("a").fingerprint = 8;
  test.settle();
  CHECK(test.group(0).epoch == epoch);
  CHECK(test.group(1).phase == group_phase::serving);
}

TEST_CASE("a group and a node that are removed are drained first and gone then") {
  rehearsal test{two_groups()};
  test.settle();
  auto changed = one_group(1);
  changed.fingerprint = 8;
  changed.nodes.pop_back();
  test.decisions.change(changed, test.now);
  set_load(test, "a", "g1", 1);
  test.settle();
  REQUIRE(test.decisions.view().groups.size() == 2);
  CHECK(test.group(1).draining);
  CHECK(test.decisions.view().nodes.size() == 2);
  set_load(test, "a", "g1", 0);
  test.settle();
  CHECK(test.decisions.view().groups.size() == 1);
  CHECK(test.decisions.view().nodes.size() == 1);
  CHECK(test.group(0).phase == group_phase::serving);
}
