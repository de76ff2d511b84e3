// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/request_trace.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <nlohmann/json.hpp>

#include "runtime/trace/trace_text.hpp"
#include "topology/membership.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr trace_key request{1, 2};
constexpr std::uint64_t first_epoch = (9ULL << 32U) + 1, second_epoch = (9ULL << 32U) + 3;

flight_record record_of(const std::string& role, std::vector<trace_event> events) {
  flight_record record;
  record.identity = {role, role == "node" ? "a" : "b", 1, role == "node" ? 11U : 22U, 0, 0};
  record.names = {"g0"};
  record.events = std::move(events);
  return record;
}

/// A request whose rank on another machine, with a clock of its own, was killed in the middle.
std::vector<node_records> killed_rank() {
  auto node = record_of(
      "node",
      {{.time_ns = 1000, .request = request, .hop = trace_hop::submitted},
       {.time_ns = 1010, .request = request, .count = 5, .hop = trace_hop::tokenized},
       {.time_ns = 1020, .request = request, .epoch = first_epoch, .count = 5, .group = 0, .hop = trace_hop::enqueued},
       {.time_ns = 1100, .request = request, .epoch = first_epoch, .position = 0, .hop = trace_hop::delivered},
       {.time_ns = 1300, .epoch = first_epoch, .group = 0, .rank = 1, .hop = trace_hop::rank_lost, .code = 3},
       {.time_ns = 1310, .epoch = first_epoch + 1, .group = 0, .hop = trace_hop::epoch_fenced, .code = 3},
       {.time_ns = 1320, .request = request, .epoch = first_epoch, .count = 6, .group = 0, .hop = trace_hop::moved},
       {.time_ns = 1400, .epoch = second_epoch, .group = 0, .hop = trace_hop::epoch_assigned},
       {.time_ns = 1700, .epoch = second_epoch, .group = 0, .hop = trace_hop::epoch_serves},
       {.time_ns = 1710, .request = request, .epoch = second_epoch, .count = 6, .group = 0, .hop = trace_hop::enqueued},
       {.time_ns = 1800, .request = request, .epoch = second_epoch, .position = 1, .hop = trace_hop::resumed},
       {.time_ns = 1900, .request = request, .count = 2, .hop = trace_hop::finished}});
  auto rank = record_of(
      "rank", {{.time_ns = 51'050, .epoch = first_epoch, .step = 1, .rank = 0, .hop = trace_hop::step_begun},
               {.time_ns = 51'090, .epoch = first_epoch, .step = 1, .rank = 0, .hop = trace_hop::step_done},
               {.time_ns = 51'600, .epoch = second_epoch, .group = 0, .rank = 0, .hop = trace_hop::rank_ready},
               {.time_ns = 51'650, .request = {7, 7}, .hop = trace_hop::sampled}});
  return {{"b", 22, {50'000, 3}, {rank}, false}, {"a", 11, {0, 0}, {node}, false}};
}

}  // namespace

TEST_CASE("what several machines noted becomes one way in time") {
  const auto trace = merge_trace(killed_rank(), request);
  CHECK(trace.events.size() == 13);  // the other request and the steps are not in it
  for (std::size_t i = 1; i < trace.events.size(); ++i)
    CHECK(trace.events[i - 1].time_ns <= trace.events[i].time_ns);
  CHECK(trace.uncertainty_ns == 3);
  REQUIRE(trace.ranks.size() == 1);
  CHECK(trace.ranks[0].steps == 1);
  CHECK(trace.ranks[0].busy_ns == 40);
}

TEST_CASE("a recovery says what was lost, who noticed it, and how long each phase took") {
  const auto trace = merge_trace(killed_rank(), request);
  REQUIRE(trace.recoveries.size() == 1);
  const auto& recovery = trace.recoveries[0];
  CHECK(recovery.lost == "g0/1");
  CHECK(recovery.cause == "killed");
  CHECK(recovery.noticed_by == "node on node a");
  CHECK(recovery.old_epoch == first_epoch);
  CHECK(recovery.new_epoch == second_epoch);
  CHECK(recovery.tokens_kept == 6);
  CHECK(recovery.last_step_ns == 1100);
  CHECK(recovery.noticed_ns == 1300);
  CHECK(recovery.fenced_ns == 1310);
  CHECK(recovery.assigned_ns == 1400);
  CHECK(recovery.ready_ns == 1600);
  CHECK(recovery.serves_ns == 1700);
  CHECK(recovery.enqueued_ns == 1710);
  CHECK(recovery.resumed_ns == 1800);
}

TEST_CASE("causes are named as membership names them") {
  for (auto cause : {loss_cause::crashed, loss_cause::hung, loss_cause::killed, loss_cause::unreachable}) {
    auto answers = killed_rank();
    answers[1].records[0].events[4].code = static_cast<std::uint8_t>(cause);
    CHECK(merge_trace(answers, request).recoveries.at(0).cause == to_string(cause));
  }
}

TEST_CASE("a recovery of which nothing but the move is known is told as such") {
  node_records answer{"a",
                      11,
                      {},
                      {record_of("node", {{.time_ns = 5, .request = request, .epoch = 4, .hop = trace_hop::moved}})},
                      true};
  const auto text = trace_text(merge_trace({answer}, request));
  CHECK_THAT(text, ContainsSubstring("nobody whose record is left"));
  CHECK_THAT(text, ContainsSubstring("not noted"));
  CHECK_THAT(text, ContainsSubstring("more than its answer may hold"));
}

TEST_CASE("epochs and times of a request are those of its own events") {
  CHECK(epochs_of(killed_rank(), request) == std::vector<std::uint64_t>{first_epoch, second_epoch});
  CHECK(times_of(killed_rank(), request) == std::pair<std::int64_t, std::int64_t>{1000, 1900});
}

TEST_CASE("text and JSON of a trace name hops, ranks and recoveries") {
  const auto trace = merge_trace(killed_rank(), request);
  const auto text = trace_text(trace);
  CHECK_THAT(text, ContainsSubstring("rank g0/1 killed in epoch 9.1, noticed by node on node a; 6 tokens kept"));
  CHECK_THAT(text, ContainsSubstring("submitted"));
  const auto json = nlohmann::json::parse(trace_json(trace));
  CHECK(json.at("events").size() == 13);
  CHECK(json.at("events").at(0).at("hop") == "submitted");
  CHECK(json.at("recoveries").at(0).at("cause") == "killed");
  CHECK(json.at("recoveries").at(0).at("resumed_ns") == 800);
}

TEST_CASE("requests are listed with their time, size and end") {
  const auto list = summarise(killed_rank());
  REQUIRE(list.size() == 2);
  CHECK(list[0].request == request);
  CHECK(list[0].lasted_ns == 900);
  CHECK(list[0].prompt_tokens == 5);
  CHECK(list[0].tokens == 2);
  CHECK(list[0].moves == 1);
  CHECK(list[0].ending == "finished");
  CHECK(list[1].ending == "live");
  CHECK_THAT(summary_text(list), ContainsSubstring("finished"));
  CHECK(nlohmann::json::parse(summary_json(list)).size() == 2);
}

TEST_CASE("a request is found by its number, and its events under the numbers it has in groups are its own") {
  node_records answer{
      "a",
      11,
      {},
      {record_of("node", {{.time_ns = 5, .request = request, .step = 40, .hop = trace_hop::submitted},
                          {.time_ns = 6, .request = request, .epoch = 4, .step = 41, .hop = trace_hop::enqueued},
                          {.time_ns = 7, .request = {0, 41}, .epoch = 4, .step = 1, .hop = trace_hop::sampled},
                          {.time_ns = 8, .request = {0, 42}, .epoch = 4, .step = 1, .hop = trace_hop::sampled}})},
      false};
  CHECK(full_name({answer}, {0, 40}) == request);
  CHECK(full_name({answer}, {0, 7}) == trace_key{0, 7});
  CHECK(names_of({answer}, request) == std::vector<std::uint64_t>{40, 41});
  CHECK(merge_trace({answer}, request).events.size() == 3);
}

TEST_CASE("what other ranks suffer from a loss is not taken for the loss") {
  auto answers = killed_rank();
  auto& events = answers[1].records[0].events;
  events.insert(events.begin() + 4,
                {.time_ns = 1290, .epoch = first_epoch, .group = 0, .rank = 0, .hop = trace_hop::rank_lost, .code = 4});
  const auto recovery = merge_trace(answers, request).recoveries.at(0);
  CHECK(recovery.lost == "g0/1");
  CHECK(recovery.noticed_ns == 1290);
}

TEST_CASE("a rank that its node ended afterwards is not taken for the loss") {
  auto answers = killed_rank();
  auto& events = answers[1].records[0].events;
  events[4].code = 1;
  events.push_back({.time_ns = 1330, .epoch = first_epoch, .group = 0, .rank = 0, .hop = trace_hop::rank_lost});
  events.push_back(
      {.time_ns = 1340, .epoch = first_epoch, .group = 0, .rank = 0, .hop = trace_hop::rank_lost, .code = 3});
  CHECK(merge_trace(answers, request).recoveries.at(0).lost == "g0/1");
}

/// What is noted of losses on the machine that lost a rank, instead of the one loss of killed_rank.
struct noted_loss {
  std::uint64_t time;
  std::uint16_t rank;
  std::uint8_t code;
  std::uint32_t count = 0;
};

request_recovery recovery_from(const std::vector<noted_loss>& losses) {
  auto answers = killed_rank();
  auto& events = answers[1].records[0].events;
  events.erase(events.begin() + 4);
  for (const auto& loss : losses)
    events.push_back({.time_ns = loss.time,
                      .epoch = first_epoch,
                      .count = loss.count,
                      .group = 0,
                      .rank = loss.rank,
                      .hop = trace_hop::rank_lost,
                      .code = loss.code});
  return merge_trace(answers, request).recoveries.at(0);
}

TEST_CASE("a rank that another one complained of is the loss, though its node ended it before it knew") {
  const auto recovery =
      recovery_from({{1290, 1, 4, 1}, {1291, 0, 4}, {1330, 1, 0}, {1331, 0, 0}, {1340, 0, 4}, {1350, 1, 3}});
  CHECK(recovery.lost == "g0/1");
  CHECK(recovery.cause == "killed");
  CHECK(recovery.noticed_ns == 1290);
}

TEST_CASE("the only rank that never complained is the loss, though its node ended it before it knew") {
  const auto recovery = recovery_from({{1291, 0, 4}, {1330, 1, 0}, {1331, 0, 0}, {1340, 0, 4}, {1350, 1, 3}});
  CHECK(recovery.lost == "g0/1");
  CHECK(recovery.cause == "killed");
}
