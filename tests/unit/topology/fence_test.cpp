// SPDX-License-Identifier: Apache-2.0
#include "topology/fence.hpp"

#include <catch2/catch_test_macros.hpp>

#include "topology/cluster_file.hpp"
#include "topology/epoch_number.hpp"

using namespace troupe;

TEST_CASE("only messages of the epoch that was entered are current, and the others are counted") {
  fence member{9};
  member.enter(make_epoch(2, 5));
  CHECK(member.judge({9, make_epoch(2, 5)}) == verdict::current);
  CHECK(member.judge({9, make_epoch(2, 4)}) == verdict::stale);
  CHECK(member.judge({9, make_epoch(1, 99)}) == verdict::stale);
  CHECK(member.judge({8, make_epoch(2, 5)}) == verdict::foreign);
  CHECK(member.counts().stale == 2);
  CHECK(member.counts().foreign == 1);
  CHECK(member.counts().ahead == 0);
}

TEST_CASE("a member that hears of a greater epoch stops until it has entered one") {
  fence member{9};
  member.enter(5);
  CHECK(member.judge({9, 7}) == verdict::ahead);
  CHECK(!member.open());
  CHECK(member.judge({9, 5}) == verdict::stale);
  CHECK(member.judge({9, 7}) == verdict::ahead);
  member.enter(6);  // over already
  CHECK(!member.open());
  member.enter(7);
  CHECK(member.judge({9, 7}) == verdict::current);
}

TEST_CASE("nothing is current before an epoch was entered, and another cluster's epochs stop nobody") {
  fence member{9};
  CHECK(!member.open());
  CHECK(member.judge({9, 1}) == verdict::ahead);
  member.enter(1);
  CHECK(member.judge({8, 100}) == verdict::foreign);
  CHECK(member.judge({9, 1}) == verdict::current);
}

TEST_CASE("a cluster keeps its id when nodes and groups come and go, and shares it with no other") {
  cluster_file file;
  file.cluster = "demo";
  file.nodes.push_back({"a", {"127.0.0.1", 4242}, std::nullopt, {}});
  auto id = cluster_id(file);
  auto more = file;
  more.nodes.push_back({"b", {"127.0.0.1", 4243}, std::nullopt, {}});
  more.fingerprint = 3;
  CHECK(cluster_id(more) == id);
  auto elsewhere = file;
  elsewhere.nodes.front().cluster.port = 4244;
  CHECK(cluster_id(elsewhere) != id);
  auto other = file;
  other.cluster = "demo2";
  CHECK(cluster_id(other) != id);
}

TEST_CASE("an epoch is written as generation and counter") {
  CHECK(epoch_text(make_epoch(3, 17)) == "3.17");
  CHECK(make_epoch(3, 0) > make_epoch(2, 0xffff'ffff));
}
