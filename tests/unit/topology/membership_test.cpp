// SPDX-License-Identifier: Apache-2.0
#include "topology/membership.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Two nodes with a rank each, and a clock that the test moves.
struct rehearsal {
  membership::time_point now{};
  cluster_file file = make_file();
  membership decisions{file, {.version = "1", .fingerprint = 7, .generation = 5}, now};
  node_state a = make_node("a", 0);
  node_state b = make_node("b", 1);

  static cluster_file make_file() {
    cluster_file file;
    file.cluster = "test";
    file.nodes = {{"a", {"127.0.0.1", 1}, std::nullopt, {}}, {"b", {"127.0.0.1", 2}, std::nullopt, {}}};
    group_spec group;
    group.name = "g0";
    group.tensor = 2;
    group.ranks = {{"a", {}}, {"b", {}}};
    file.groups.push_back(group);
    file.startup_timeout_s = 10;
    return file;
  }

  static node_state make_node(const std::string& name, std::uint32_t rank) {
    node_state node;
    node.cluster = "test";
    node.node = name;
    node.boot = 1;
    node.version = "1";
    node.fingerprint = 7;
    rank_state state;
    state.group = "g0";
    state.rank = rank;
    state.incarnation = 1;
    state.phase = rank_phase::present;
    state.free_memory_bytes = 8ULL << 30;
    node.ranks.push_back(state);
    return node;
  }

  const group_view& group() const { return decisions.view().groups.front(); }
  void hear_both() {
    decisions.observe(a, now);
    decisions.observe(b, now);
    decisions.advance(now);
  }
  void start_both(std::uint32_t blocks_a = 100, std::uint32_t blocks_b = 100) {
    for (auto [node, blocks] : {std::pair{&a, blocks_a}, {&b, blocks_b}}) {
      auto& rank = node->ranks.front();
      rank.phase = rank_phase::started;
      rank.epoch = group().epoch;
      rank.blocks = blocks;
      rank.block_tokens = 16;
    }
    hear_both();
  }
};

}  // namespace

TEST_CASE("a group serves once all ranks are present and have loaded, with the least blocks of its ranks") {
  rehearsal test;
  CHECK(test.group().phase == group_phase::gathering);
  test.hear_both();
  REQUIRE(test.group().phase == group_phase::starting);
  CHECK(test.group().members.size() == 2);
  CHECK(test.group().epoch == (5ULL << 32U | 1));
  test.start_both(100, 90);
  CHECK(test.group().phase == group_phase::serving);
  CHECK(test.group().blocks == 90);
}

TEST_CASE("a missing rank is named with the time left, and the start fails at its bound") {
  rehearsal test;
  test.decisions.observe(test.a, test.now);
  test.decisions.advance(test.now);
  CHECK_THAT(test.group().message, ContainsSubstring("b/rank 1") && ContainsSubstring("0 s of 10 s"));
  CHECK_THAT(test.group().message, !ContainsSubstring("a/rank 0"));
  test.now += 11s;
  test.decisions.observe(test.a, test.now);
  test.decisions.advance(test.now);
  CHECK(test.group().phase == group_phase::failed);
  CHECK_THAT(test.group().message, ContainsSubstring("b/rank 1") && ContainsSubstring("10 s"));
}

TEST_CASE("a node of another version, file, cluster or model is refused by name") {
  rehearsal test;
  auto refused = [&](auto change) {
    auto node = rehearsal::make_node("b", 1);
    change(node);
    return test.decisions.observe(node, test.now);
  };
  CHECK_THAT(refused([](node_state& x) { x.version = "2"; }), ContainsSubstring("b runs version 2"));
  CHECK_THAT(refused([](node_state& x) { x.fingerprint = 8; }), ContainsSubstring("another topology file"));
  CHECK_THAT(refused([](node_state& x) { x.cluster = "other"; }), ContainsSubstring("cluster other"));
  CHECK_THAT(refused([](node_state& x) { x.node = "c"; }), ContainsSubstring("c is not in the topology file"));
  test.b.model_hash = 99;
  test.hear_both();
  CHECK(test.group().phase == group_phase::gathering);
  CHECK_THAT(test.group().message, ContainsSubstring("another model"));
}

TEST_CASE("a second node of the same name is refused while the first one lives") {
  rehearsal test;
  test.hear_both();
  auto twin = test.a;
  twin.boot = 2;
  CHECK_THAT(test.decisions.observe(twin, test.now), ContainsSubstring("already running"));
  test.decisions.lose("a");
  CHECK(test.decisions.observe(twin, test.now).empty());
}

TEST_CASE("ranks whose free memory differs more than the file allows do not start") {
  rehearsal test;
  test.b.ranks.front().free_memory_bytes = 5ULL << 30;
  test.hear_both();
  CHECK(test.group().phase == group_phase::failed);
  CHECK_THAT(test.group().message,
             ContainsSubstring("3072 MiB") && ContainsSubstring("rank 1") && ContainsSubstring("on b"));
}

TEST_CASE("a lost rank ends the epoch, and the group serves again in a greater one") {
  for (auto lose : {0, 1, 2, 3}) {
    rehearsal test;
    test.hear_both();
    test.start_both();
    auto before = test.group().epoch;
    if (lose == 0) test.b.ranks.front().phase = rank_phase::failed;
    if (lose == 1) test.b.ranks.front().incarnation = 2;
    if (lose == 2) test.decisions.lose("b");
    if (lose == 3) test.now += 4s;  // b is silent
    test.decisions.observe(test.a, test.now);
    if (lose < 2) test.decisions.observe(test.b, test.now);
    test.decisions.advance(test.now);
    INFO("way " << lose);
    CHECK(test.group().phase == group_phase::gathering);
    CHECK(test.group().epoch > before);
    CHECK(test.group().members.empty());
    test.a = rehearsal::make_node("a", 0);
    test.b = rehearsal::make_node("b", 1);
    test.a.ranks.front().incarnation = test.b.ranks.front().incarnation = 3;
    test.hear_both();
    test.start_both();
    CHECK(test.group().phase == group_phase::serving);
    CHECK(test.group().epoch > before + 1);
  }
}

TEST_CASE("a group that keeps failing is given up after three restarts") {
  rehearsal test;
  for (std::uint64_t life = 1; life < 10 && test.group().phase != group_phase::failed; ++life) {
    test.a = rehearsal::make_node("a", 0);
    test.b = rehearsal::make_node("b", 1);
    test.a.ranks.front().incarnation = test.b.ranks.front().incarnation = life;
    test.hear_both();
    test.b.ranks.front().phase = rank_phase::failed;
    test.b.ranks.front().message = "no luck";
    test.hear_both();
  }
  CHECK(test.group().phase == group_phase::failed);
  CHECK_THAT(test.group().message, ContainsSubstring("no luck"));
}

TEST_CASE("the revision grows exactly with changes") {
  rehearsal test;
  test.hear_both();
  test.hear_both();
  auto revision = test.decisions.view().revision;
  CHECK(!test.decisions.advance(test.now));
  CHECK(test.decisions.view().revision == revision);
}

TEST_CASE("a topology actor that was started again lets groups that serve go on in their epoch") {
  rehearsal test;
  test.hear_both();
  test.start_both();
  auto epoch = test.group().epoch;
  membership restarted{test.file, {.version = "1", .fingerprint = 7, .generation = 6}, test.now};
  restarted.observe(test.a, test.now);
  restarted.advance(test.now);
  CHECK(restarted.view().groups.front().epoch == 0);  // nobody is told to end anything yet
  restarted.observe(test.b, test.now);
  restarted.advance(test.now);
  CHECK(restarted.view().groups.front().phase == group_phase::serving);
  CHECK(restarted.view().groups.front().epoch == epoch);
  CHECK(restarted.view().groups.front().members.size() == 2);
}

TEST_CASE("what is left of a group that served before the topology actor is ended by a greater epoch") {
  rehearsal test;
  test.hear_both();
  test.start_both();
  auto epoch = test.group().epoch;
  membership restarted{test.file, {.version = "1", .fingerprint = 7, .generation = 6}, test.now};
  auto fresh = rehearsal::make_node("a", 0);
  for (auto wait : {0s, 3s}) {
    test.now += wait;
    restarted.observe(fresh, test.now);
    restarted.observe(test.b, test.now);
    restarted.advance(test.now);
  }
  CHECK(restarted.view().groups.front().phase == group_phase::gathering);
  CHECK(restarted.view().groups.front().epoch > epoch);
}
