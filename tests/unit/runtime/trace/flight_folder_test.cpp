// SPDX-License-Identifier: Apache-2.0
#include "runtime/trace/flight_folder.hpp"

#include <csignal>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/runtime/model/temporary_folder.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;

namespace {

flight_recorder_options in(const std::filesystem::path& folder, const std::string& role) {
  flight_recorder_options options;
  options.identity.role = role;
  options.folder = folder;
  options.slots = 64;
  return options;
}

std::shared_ptr<flight_recorder> begin(const std::filesystem::path& folder, const std::string& role = "node") {
  std::string problem;
  auto recorder = begin_flight_record(in(folder, role), problem);
  REQUIRE(problem.empty());
  return recorder;
}

}  // namespace

TEST_CASE("the last events of a process that was killed are kept") {
  temporary_folder folder;
  const auto child = fork();
  if (child == 0) {
    std::string problem;
    auto recorder = begin_flight_record(in(folder.path() / "flight", "rank g0/1"), problem);
    for (std::uint32_t i = 0; i < 3; ++i)
      recorder->record({.position = i, .hop = trace_hop::step_begun});
    std::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  const auto kept = read_flight_folder(folder.path() / "flight");
  REQUIRE(kept.size() == 1);
  CHECK_FALSE(kept[0].living);
  CHECK(kept[0].record.problem.empty());
  CHECK(kept[0].record.identity.role == "rank g0/1");
  CHECK(kept[0].record.identity.process == static_cast<std::uint64_t>(child));
  CHECK(kept[0].record.events.size() == 3);
}

TEST_CASE("the oldest records of ended processes go first, and none of a living one") {
  temporary_folder folder;
  auto living = begin(folder.path());
  for (int i = 0; i < 5; ++i)
    begin(folder.path(), "ended");
  const auto newest = begin(folder.path(), "ended")->path();
  prune_flight_folder(folder.path(), {.files_max = 2, .bytes_max = 1U << 30U});
  auto kept = read_flight_folder(folder.path());
  REQUIRE(kept.size() == 3);
  CHECK(kept[0].path == living->path());
  CHECK(kept[0].living);
  CHECK(kept[2].path == newest);
  prune_flight_folder(folder.path(), {.files_max = 9, .bytes_max = 0});
  CHECK(read_flight_folder(folder.path()).size() == 1);
}

TEST_CASE("a file that is no record is named with what is wrong") {
  temporary_folder folder;
  std::ofstream{folder.path() / "1-1-x.flight"} << "hello";
  std::ofstream{folder.path() / "notes.txt"} << "hello";
  const auto kept = read_flight_folder(folder.path());
  REQUIRE(kept.size() == 1);
  CHECK_THAT(kept[0].record.problem, ContainsSubstring("5 bytes"));
}

TEST_CASE("without a folder that can be made the record is in memory, and says why") {
  std::string problem;
  const auto recorder = begin_flight_record(in("/proc/nowhere", "node"), problem);
  CHECK_FALSE(problem.empty());
  CHECK(recorder->path().empty());
  recorder->record({});
  CHECK(parse_flight_record(recorder->bytes()).events.size() == 1);
}
