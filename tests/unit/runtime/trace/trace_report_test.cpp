// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/trace_report.hpp"

#include <random>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/trace/clock_offset.hpp"
#include "runtime/trace/trace_query.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

flight_record sample() {
  flight_record record;
  record.identity = {"rank g0/1", "a", 77, 0xffffffffffffffffU, 5, -3};
  record.names = {"g0", "g1"};
  record.lost = 12;
  record.problem = "a sentence";
  record.events = {{.time_ns = 10, .request = {0xffffffffffffffffU, 1}, .epoch = 1, .hop = trace_hop::submitted},
                   {.time_ns = 20, .epoch = 1, .step = 4, .rank = 1, .hop = trace_hop::step_done},
                   {.time_ns = 30, .epoch = 1, .group = 1, .hop = trace_hop::rank_lost, .code = 3},
                   {.time_ns = 40, .request = {0, 2}, .hop = trace_hop::finished}};
  return record;
}

}  // namespace

TEST_CASE("records come out of msgpack as they went in") {
  const auto unpacked = unpack_records(pack_records({sample(), {}}));
  CHECK(unpacked.problem.empty());
  REQUIRE(unpacked.records.size() == 2);
  CHECK(unpacked.records[0].identity == sample().identity);
  CHECK(unpacked.records[0].names == sample().names);
  CHECK(unpacked.records[0].events == sample().events);
  CHECK(unpacked.records[0].lost == 12);
  CHECK(unpacked.records[0].problem == "a sentence");
}

TEST_CASE("a packed event takes no more than it says") {
  trace_event event;
  event.time_ns = flight_time_max;
  event.request = {~0ULL, ~0ULL};
  event.epoch = event.step = ~0ULL;
  event.position = event.count = ~0U;
  event.code = 255;
  flight_record record;
  const auto empty = pack_records({record}).size();
  record.events.assign(10, event);
  CHECK(pack_records({record}).size() - empty <= 10 * packed_event_bytes_max);
}

TEST_CASE("a damaged report is refused with a sentence, whatever byte is changed") {
  const auto packed = pack_records({sample()});
  std::mt19937 random{7};
  for (std::size_t i = 0; i < packed.size(); ++i) {
    auto bytes = packed;
    bytes[i] = static_cast<char>(random());
    const auto unpacked = unpack_records(bytes);
    CHECK((unpacked.problem.empty() || unpacked.records.empty()));
    CHECK_FALSE(unpack_records(std::string_view{packed}.substr(0, i)).problem.empty());
  }
  CHECK_THAT(unpack_records(std::string(trace_report_bytes_max + 1, '\0')).problem, ContainsSubstring("at most"));
  CHECK_FALSE(unpack_records("\xdd\xff\xff\xff\xff").problem.empty());  // an array of four thousand million
}

TEST_CASE("a query leaves what belongs to its request, its epochs and its time") {
  std::vector<flight_record> records{sample()};
  select_events(records, {.request = {0xffffffffffffffffU, 1}, .epochs = {1}, .from_ns = 0, .to_ns = 100});
  REQUIRE(records.size() == 1);
  CHECK(records[0].events.size() == 3);  // but not the other request's

  records = {sample()};
  select_events(records, {.request = {0xffffffffffffffffU, 1}});
  CHECK(records[0].events.size() == 1);

  records = {sample()};
  records[0].problem.clear();
  select_events(records, {.request = {0, 9}});
  CHECK(records.empty());
}

TEST_CASE("a query takes a request's other numbers, and the event that gives it one") {
  flight_record record;
  record.events = {{.time_ns = 5, .request = {1, 2}, .step = 40, .hop = trace_hop::submitted},
                   {.time_ns = 7, .request = {0, 41}, .hop = trace_hop::sampled}};
  std::vector<flight_record> by_key{record}, by_number{record};
  select_events(by_key, {.request = {1, 2}, .names = {40, 41}});
  CHECK(by_key[0].events.size() == 2);
  select_events(by_number, {.request = {0, 40}});
  REQUIRE(by_number[0].events.size() == 1);
  CHECK(by_number[0].events[0].hop == trace_hop::submitted);
}

TEST_CASE("the last and the slowest requests are found") {
  flight_record record;
  for (std::uint64_t i = 1; i <= 4; ++i) {
    record.events.push_back({.time_ns = 100 * i, .request = {0, i}, .hop = trace_hop::submitted});
    record.events.push_back({.time_ns = 100 * i + (i == 2 ? 5000 : i), .request = {0, i}, .hop = trace_hop::finished});
  }
  std::vector<flight_record> last{record}, slowest{record};
  select_events(last, {.requests = 2, .order = trace_order::last});
  select_events(slowest, {.requests = 1, .order = trace_order::slowest});
  CHECK(last[0].events.size() == 4);  // 2 ended last, 4 before it
  REQUIRE(slowest[0].events.size() == 2);
  CHECK(slowest[0].events[0].request == trace_key{0, 2});
}

TEST_CASE("a report that is too big loses steps first") {
  std::vector<flight_record> records{sample(), sample()};
  CHECK_FALSE(cut_events(records, 8));
  CHECK(cut_events(records, 6));
  for (const auto& record : records)
    for (const auto& event : record.events)
      CHECK_FALSE(of_step(event.hop));
  CHECK(cut_events(records, 3));
  CHECK(records[0].events.size() == 3);
  CHECK(records[1].events.empty());
}

TEST_CASE("a clock's offset is taken from the shortest round trip") {
  const clock_sample slow{1000, 51'500, 2000}, fast{3000, 53'010, 3020}, mad{9, 0, 1};
  const auto offset = estimate_offset(std::array{slow, fast, mad});
  CHECK(offset.theirs_minus_ours_ns == 50'000);
  CHECK(offset.uncertainty_ns == 10);
  CHECK(estimate_offset({}).uncertainty_ns == UINT64_MAX);
}

TEST_CASE("a trace key is read as it was written") {
  CHECK(parse_trace_key(to_string(trace_key{0, 0x12})) == trace_key{0, 0x12});
  CHECK(parse_trace_key(to_string(trace_key{3, 0xffffffffffffffffU})) == trace_key{3, 0xffffffffffffffffU});
  CHECK_FALSE(parse_trace_key(""));
  CHECK_FALSE(parse_trace_key("0"));
  CHECK_FALSE(parse_trace_key("12g"));
  CHECK_FALSE(parse_trace_key(std::string(33, '1')));
}
