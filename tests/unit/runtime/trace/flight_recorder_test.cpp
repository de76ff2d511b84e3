// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/flight_recorder.hpp"

#include <thread>

#include <catch2/benchmark/catch_benchmark.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/trace/flight_record.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

flight_recorder_options small(std::uint32_t slots = 64) {
  flight_recorder_options options;
  options.identity.role = std::string{"node"};
  options.identity.node = std::string{"a"};
  options.slots = slots;
  return options;
}

trace_event numbered(std::uint32_t number) {
  trace_event event;
  event.time_ns = 1000 + number;
  event.request = {0x0123456789abcdefU, number};
  event.epoch = (7ULL << 32U) + 1;
  event.step = 99;
  event.position = number;
  event.count = ~number;
  event.rank = 3;
  event.hop = trace_hop::sampled;
  event.code = 5;
  return event;
}

}  // namespace

TEST_CASE("what is recorded is read again, field by field") {
  flight_recorder recorder{small()};
  auto event = numbered(1);
  event.group = recorder.name("g0");
  recorder.record(event);
  const auto record = parse_flight_record(recorder.bytes());
  CHECK(record.problem.empty());
  CHECK(record.identity.role == "node");
  CHECK(record.identity.node == "a");
  CHECK(record.identity.machine == machine_identity());
  CHECK(record.names == std::vector<std::string>{"g0"});
  REQUIRE(record.events.size() == 1);
  CHECK(record.events.front() == event);
}

TEST_CASE("an event without a time gets the time now") {
  flight_recorder recorder{small()};
  const auto before = steady_now_ns();
  recorder.record({});
  const auto event = parse_flight_record(recorder.bytes()).events.at(0);
  CHECK(event.time_ns >= before);
  CHECK(event.time_ns <= steady_now_ns());
}

TEST_CASE("a full ring keeps the newest events and counts the lost ones") {
  flight_recorder recorder{small(64)};
  for (std::uint32_t i = 0; i < 100; ++i)
    recorder.record(numbered(i));
  const auto record = parse_flight_record(recorder.bytes());
  REQUIRE(record.events.size() == 64);
  CHECK(record.events.front() == numbered(36));
  CHECK(record.events.back() == numbered(99));
  CHECK(record.lost == 36);
}

TEST_CASE("events of many threads are all there, each in one piece") {
  constexpr std::uint32_t threads = 4, each = 2000;
  flight_recorder recorder{small(8192)};
  std::vector<std::thread> writers;
  for (std::uint32_t t = 0; t < threads; ++t)
    writers.emplace_back([&recorder, t] {
      for (std::uint32_t i = 0; i < each; ++i)
        recorder.record(numbered(t * each + i));
    });
  for (auto& writer : writers)
    writer.join();
  auto record = parse_flight_record(recorder.bytes());
  CHECK(record.problem.empty());
  std::sort(record.events.begin(), record.events.end(),
            [](const auto& a, const auto& b) { return a.position < b.position; });
  REQUIRE(record.events.size() == threads * each);
  for (std::uint32_t i = 0; i < threads * each; ++i)
    REQUIRE(record.events[i] == numbered(i));
}

TEST_CASE("a group's name keeps its number, and when there is no room for one there is none") {
  flight_recorder recorder{small()};
  CHECK(recorder.name("") == trace_none);
  for (std::size_t i = 0; i < flight_names_max; ++i)
    CHECK(recorder.name(std::to_string(i)) == i);
  CHECK(recorder.name("7") == 7);
  CHECK(recorder.name("one more") == trace_none);
}

TEST_CASE("a tracer without a recorder records nothing") {
  tracer nothing;
  nothing(numbered(1));
  CHECK(nothing.name("g0") == trace_none);
  CHECK_FALSE(nothing);
}

TEST_CASE("a damaged record gives the events that are whole and says what is wrong") {
  flight_recorder recorder{small()};
  for (std::uint32_t i = 0; i < 10; ++i)
    recorder.record(numbered(i));
  auto bytes = recorder.bytes();
  SECTION("a changed event") {
    bytes[flight_slots_offset + 3 * 64 + 20] ^= std::byte{1};
    const auto record = parse_flight_record(bytes);
    CHECK(record.events.size() == 9);
    CHECK(record.problem == "1 of its events are damaged and left out");
  }
  SECTION("an event in another's place") {
    std::copy_n(bytes.begin() + flight_slots_offset, 64, bytes.begin() + flight_slots_offset + 20 * 64);
    CHECK(parse_flight_record(bytes).events.size() == 10);
  }
  SECTION("a cut file") {
    bytes.resize(flight_slots_offset + 5 * 64 + 13);
    const auto record = parse_flight_record(bytes);
    CHECK(record.events.size() == 5);
    CHECK_THAT(record.problem, ContainsSubstring("cut off"));
  }
  SECTION("another file") {
    bytes[0] = std::byte{'x'};
    CHECK_THAT(parse_flight_record(bytes).problem, ContainsSubstring("does not begin"));
  }
  SECTION("another version") {
    bytes[8] = std::byte{9};
    CHECK_THAT(parse_flight_record(bytes).problem, ContainsSubstring("version 9"));
  }
  SECTION("an endless ring") {
    bytes[19] = std::byte{0xff};
    CHECK_THAT(parse_flight_record(bytes).problem, ContainsSubstring("says to hold"));
  }
  SECTION("nothing") { CHECK_THAT(parse_flight_record({}).problem, ContainsSubstring("0 bytes")); }
}

TEST_CASE("the cost of an event", "[.benchmark]") {
  flight_recorder recorder{small(1U << 15U)};
  trace_event event;
  event.hop = trace_hop::step_done;
  BENCHMARK("record") { recorder.record(event); };
}
