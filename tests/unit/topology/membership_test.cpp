// SPDX-License-Identifier: Apache-2.0
#include "topology/membership.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "tests/unit/topology/membership_rehearsal.hpp"

using namespace troupe;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

using rehearsal = membership_rehearsal;

namespace {

/// The next topology actor of the same cluster.
membership successor(const rehearsal& test) {
  auto options = rehearsal::usual();
  options.generation = 6;
  return {test.file, options, test.now};
}

}  // namespace

TEST_CASE("a group serves once all ranks are present and have loaded, with the least blocks of its ranks") {
  rehearsal test;
  CHECK(test.group().phase == group_phase::gathering);
  test.hear();
  REQUIRE(test.group().phase == group_phase::starting);
  CHECK(test.group().members.size() == 2);
  CHECK(test.group().epoch == make_epoch(5, 1));
  test.follow();
  test.rank("b").blocks = 90;
  test.hear();
  CHECK(test.group().phase == group_phase::serving);
  CHECK(test.group().blocks == 90);
}

TEST_CASE("a missing rank is named with the time left, and the start fails at its bound but not for ever") {
  rehearsal test;
  test.silent["b"] = true;
  test.hear();
  CHECK_THAT(test.group().message, ContainsSubstring("b/cpu:0") && ContainsSubstring("0 s of 10 s"));
  CHECK_THAT(test.group().message, !ContainsSubstring("a/cpu:0"));
  test.pass(11s);
  CHECK(test.group().phase == group_phase::failed);
  CHECK_THAT(test.group().message, ContainsSubstring("b/cpu:0") && ContainsSubstring("10 s"));
  test.silent.clear();
  test.settle();
  CHECK(test.group().phase == group_phase::serving);
}

TEST_CASE("a node of another version, file, cluster or model is refused by name") {
  rehearsal test;
  auto refused = [&](auto change) {
    auto node = test.nodes.at("b");
    change(node);
    return test.decisions.observe(node, test.now);
  };
  CHECK_THAT(refused([](node_state& x) { x.version = "2"; }), ContainsSubstring("b runs version 2"));
  CHECK_THAT(refused([](node_state& x) { x.fingerprint = 8; }), ContainsSubstring("another topology file"));
  CHECK_THAT(refused([](node_state& x) { x.cluster = "other"; }), ContainsSubstring("cluster other"));
  CHECK_THAT(refused([](node_state& x) { x.node = "c"; }), ContainsSubstring("c is not in the topology file"));
  test.nodes.at("b").model_hash = 99;
  test.hear();
  CHECK(test.group().phase == group_phase::gathering);
  CHECK_THAT(test.group().message, ContainsSubstring("another model"));
}

TEST_CASE("a second node of the same name is refused while the first one lives") {
  rehearsal test;
  test.hear();
  auto twin = test.nodes.at("a");
  twin.boot = 2;
  CHECK_THAT(test.decisions.observe(twin, test.now), ContainsSubstring("already running"));
  test.decisions.lose("a");
  CHECK(test.decisions.observe(twin, test.now).empty());
}

TEST_CASE("ranks whose free memory differs more than the file allows do not start") {
  rehearsal test;
  test.rank("b").free_memory_bytes = 5ULL << 30;
  test.hear();
  CHECK(test.group().phase == group_phase::failed);
  CHECK_THAT(test.group().message,
             ContainsSubstring("3072 MiB") && ContainsSubstring("rank 1") && ContainsSubstring("on b"));
}

TEST_CASE("a lost rank ends the epoch, and the group serves again in a greater one") {
  for (auto way : {0, 1, 2, 3}) {
    rehearsal test;
    test.settle();
    auto before = test.group().epoch;
    if (way == 0) test.rank("b").phase = rank_phase::failed;
    if (way == 1) rehearsal::start_again(test.rank("b"));
    if (way >= 2) test.silent["b"] = true;
    if (way == 2) test.decisions.lose("b");
    if (way == 3) test.now += 4s;
    test.hear();
    INFO("way " << way);
    CHECK(test.group().phase == group_phase::gathering);
    CHECK(test.group().epoch > before);
    CHECK(test.group().members.empty());
    CHECK(test.group().ended.back() == epoch_end{before, way == 0   ? loss_cause::crashed
                                                         : way == 1 ? loss_cause::killed
                                                                    : loss_cause::unreachable});
    test.silent.clear();
    test.settle();
    CHECK(test.group().phase == group_phase::serving);
    CHECK(test.group().epoch > before + 1);
  }
}

TEST_CASE("a rank that lost its peer and was started again does not hide what the peer died of") {
  rehearsal test;
  test.settle();
  auto before = test.group().epoch;
  rehearsal::start_again(test.rank("a"));
  test.rank("a").cause = loss_cause::unreachable;
  test.hear();
  CHECK(test.group().epoch == before);
  test.rank("b").phase = rank_phase::failed;
  test.rank("b").cause = loss_cause::crashed;
  test.hear();
  REQUIRE(!test.group().ended.empty());
  CHECK(test.group().ended.back() == epoch_end{before, loss_cause::crashed});
}

TEST_CASE("a new epoch begins at once when all members of the old one are confirmed gone") {
  rehearsal test;
  test.settle();
  test.rank("b").phase = rank_phase::ended;
  test.hear();
  test.follow();  // the rank of a is ended and started again
  rehearsal::start_again(test.rank("b"));
  test.hear();
  CHECK(test.group().phase == group_phase::starting);
  CHECK(test.counts().lease_waits_skipped == 1);
  CHECK(test.counts().lease_waits == 0);
}

TEST_CASE("a new epoch waits for the lease of a member that nobody confirms gone") {
  auto file = rehearsal::two_nodes();
  file.spares = {{"a", {rank_device_kind::cpu, 1}}};
  rehearsal test{file};
  test.settle();
  auto granted = test.now;
  test.silent["b"] = true;
  test.decisions.lose("b");
  while (test.group().phase != group_phase::starting && test.now < granted + 5s) {
    test.now += 10ms;
    test.hear();
    test.follow();
  }
  CHECK(test.group().phase == group_phase::starting);
  CHECK(test.now - granted >= 1150ms);  // the lease, 5 % and 100 ms
  CHECK(test.now - granted <= 1200ms);
  CHECK(test.counts().lease_waits == 1);
  CHECK(test.counts().spares_used == 1);
}

TEST_CASE("a node that started again has no rank of the epoch before, and nothing is waited for") {
  rehearsal test;
  test.settle();
  test.decisions.lose("b");
  test.nodes.at("b") = rehearsal::make_node(test.file, "b");
  test.nodes.at("b").boot = 2;
  test.settle();
  CHECK(test.group().phase == group_phase::serving);
  CHECK(test.group().members[1].boot == 2);
  CHECK(test.counts().lease_waits == 0);
}

TEST_CASE("a lease is granted to the start of a node that reports, and to no other") {
  rehearsal test;
  CHECK(!test.decisions.grant_lease("a", 1, test.now));
  test.hear();
  CHECK(test.decisions.grant_lease("a", 1, test.now));
  CHECK(!test.decisions.grant_lease("a", 2, test.now));
  CHECK(!test.decisions.grant_lease("c", 1, test.now));
}

TEST_CASE("the revision grows exactly with changes") {
  rehearsal test;
  test.hear();
  test.hear();
  auto revision = test.decisions.view().revision;
  CHECK(!test.decisions.advance(test.now));
  CHECK(test.decisions.view().revision == revision);
}

TEST_CASE("without a generation that is written down no epoch begins and groups that serve go on") {
  auto options = rehearsal::usual();
  options.generation = 0;
  rehearsal test{rehearsal::two_nodes(), options};
  test.settle();
  CHECK(test.decisions.generation_wanted() == 1);
  CHECK(test.group().phase == group_phase::gathering);
  CHECK(test.group().epoch == 0);
  test.decisions.use_generation(3, false);
  test.settle();
  CHECK(test.group().phase == group_phase::serving);
  CHECK(test.group().epoch == make_epoch(3, 1));
}

TEST_CASE("an epoch of a generation that was lost is outdone by a greater generation") {
  rehearsal test;
  test.settle();
  CHECK(test.decisions.generation_wanted() == 0);
  test.nodes.at("b").heard = {{"g0", make_epoch(9, 4), true}};
  test.hear();
  CHECK(test.decisions.generation_wanted() == 10);
  test.rank("a").phase = rank_phase::ended;
  test.hear();
  CHECK(test.group().phase == group_phase::serving);  // it cannot re-form
  CHECK_THAT(test.group().message, ContainsSubstring("cannot re-form"));
  test.decisions.use_generation(10, false);
  test.settle();
  rehearsal::start_again(test.rank("a"));
  test.settle();
  CHECK(test.group().phase == group_phase::serving);
  CHECK(generation_of(test.group().epoch) == 10);
  CHECK(test.counts().generations_raised == 1);
}

TEST_CASE("a topology actor that was started again lets groups that serve go on in their epoch") {
  rehearsal test;
  test.settle();
  auto epoch = test.group().epoch;
  auto restarted = successor(test);
  restarted.observe(test.nodes.at("a"), test.now);
  restarted.advance(test.now);
  CHECK(restarted.view().groups.front().epoch == 0);  // nobody is told to end anything yet
  restarted.observe(test.nodes.at("b"), test.now);
  restarted.advance(test.now);
  CHECK(restarted.view().groups.front().phase == group_phase::serving);
  CHECK(restarted.view().groups.front().epoch == epoch);
  CHECK(restarted.view().groups.front().members.size() == 2);
}

TEST_CASE("what is left of a group that served before the topology actor is ended by a greater epoch") {
  rehearsal test;
  test.settle();
  auto epoch = test.group().epoch;
  auto restarted = successor(test);
  rehearsal::start_again(test.rank("a"));
  for (auto wait : {0s, 3s}) {
    test.now += wait;
    for (const auto& [name, node] : test.nodes)
      restarted.observe(node, test.now);
    restarted.advance(test.now);
  }
  CHECK(restarted.view().groups.front().phase == group_phase::gathering);
  CHECK(restarted.view().groups.front().epoch > epoch);
}

TEST_CASE("an epoch that a node knows to be over is not taken up again by the next topology actor") {
  rehearsal test;
  test.settle();
  auto epoch = test.group().epoch;
  for (bool late : {false, true}) {
    auto restarted = successor(test);
    test.nodes.at("b").heard.clear();
    if (late) {  // all that can be known says that the epoch goes on, until somebody is told what was said before
      for (const auto& [name, node] : test.nodes)
        restarted.observe(node, test.now);
      restarted.advance(test.now);
      CHECK(restarted.view().groups.front().phase == group_phase::serving);
    }
    test.nodes.at("b").heard = {{"g0", epoch + 1, true}};
    for (const auto& [name, node] : test.nodes)
      restarted.observe(node, test.now);
    restarted.advance(test.now);
    INFO("late " << late);
    CHECK(restarted.view().groups.front().phase == group_phase::gathering);
    CHECK(restarted.view().groups.front().epoch > epoch + 1);
  }
}

TEST_CASE("a rank that has failed in an epoch of an earlier topology actor ends it, and its cause is kept") {
  rehearsal test;
  test.settle();
  auto epoch = test.group().epoch;
  auto restarted = successor(test);
  auto& failed = test.nodes.at("b").ranks.front();
  failed.phase = rank_phase::failed;
  failed.cause = loss_cause::crashed;
  for (const auto& [name, node] : test.nodes)
    restarted.observe(node, test.now);
  restarted.advance(test.now);
  const auto& group = restarted.view().groups.front();
  CHECK(group.phase == group_phase::gathering);
  CHECK(group.epoch > epoch);
  CHECK(group.ended == std::vector<epoch_end>{{epoch, loss_cause::crashed}});
}

TEST_CASE("an epoch is not taken up while a later one may go on where nobody has been heard of") {
  auto file = rehearsal::two_nodes();
  file.groups.front().tensor = 1;
  file.groups.front().ranks = {{"a", {}}};
  file.spares = {{"b", {}}};
  rehearsal test{file};
  test.settle();
  REQUIRE(test.group().members.front().node == "a");
  auto restarted = successor(test);
  for (int passed = 0; passed <= 1300; passed += 100) {
    restarted.observe(test.nodes.at("a"), test.now);
    restarted.advance(test.now);
    INFO("ms " << passed);
    CHECK((restarted.view().groups.front().phase == group_phase::serving) == (passed > 1150));
    test.now += 100ms;
  }
}

TEST_CASE("a new topology actor begins nothing while a node it has not heard of may hold a lease of the old one") {
  auto file = rehearsal::two_nodes();
  file.groups.front().tensor = 1;
  file.groups.front().ranks = {{"a", {}}};
  rehearsal test{file};
  test.decisions.use_generation(6, false);
  test.silent["b"] = true;
  test.settle();
  CHECK(test.group().phase == group_phase::gathering);
  test.pass(1300ms);
  CHECK(test.group().phase == group_phase::serving);
}

TEST_CASE("a new topology actor learns from the nodes that a group has served") {
  for (bool served : {false, true}) {
    auto file = rehearsal::two_nodes();
    file.groups.front().tensor = 1;
    file.groups.front().ranks = {{"a", {}}};
    file.spares = {{"b", {}}};
    rehearsal test{file};
    auto restarted = successor(test);
    auto& b = test.nodes.at("b");
    b.heard = {{"g0", make_epoch(5, 1), served}};
    auto later = [&](std::chrono::seconds wait) {
      test.now += wait;
      restarted.observe(b, test.now);
      restarted.advance(test.now);
      return restarted.view().groups.front();
    };
    later(0s);
    INFO("served " << served);
    CHECK(later(3s).served == served);
    // A group that is only coming up waits for its own places as long as a start may take.
    CHECK((later(1s).phase == group_phase::starting) == served);
    CHECK(later(std::chrono::seconds(test.file.startup_timeout_s)).phase == group_phase::starting);
  }
}
