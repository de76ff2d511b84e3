// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/trial/campaign.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <sstream>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "tests/simulation/trial/trial.hpp"
#include "tests/simulation/trial/worker.hpp"

namespace troupe::simulation {
namespace {

constexpr unsigned seconds_of_a_seed_max = 60;
constexpr std::uint64_t twice_every = 100;

using emit = std::function<void(const std::string&)>;

/// One run among all of a campaign, counted over its modes.
struct run_place {
  mode which;
  std::uint64_t seed;
};

run_place place_of(const campaign_options& options, std::uint64_t index) {
  return {options.modes[index % options.modes.size()], options.base + index / options.modes.size()};
}

/// A worker's share: every jobs-th run from `first`. Lines: "at INDEX", "fail INDEX INVARIANT SENTENCE", "sum NAME N".
void work(const campaign_options& options, std::uint64_t first, std::uint64_t end, const emit& tell) {
  probe_counts probes;
  std::map<std::string, std::uint64_t> sums;
  auto flush = [&] {
    for (std::size_t i = 0; i < probes.of.size(); ++i)
      if (probes.of[i] > 0) tell(fmt::format("probe {} {}", i, probes.of[i]));
    for (const auto& [name, value] : sums)
      tell(fmt::format("sum {} {}", name, value));
    probes = {};
    sums.clear();
  };
  for (auto index = first; index < end; index += options.jobs) {
    tell(fmt::format("at {}", index));
    alarm(seconds_of_a_seed_max);
    auto [which, seed] = place_of(options, index);
    auto drawn = options_of(options, which, seed);
    auto result = run_trial(drawn, false);
    if (seed % twice_every == 0) {
      ++sums["twice"];
      auto again = run_trial(drawn, false);
      if (again.trace_hash != result.trace_hash)
        tell(fmt::format("fail {} determinism the same seed gave the traces {:x} and {:x}", index, result.trace_hash,
                         again.trace_hash));
    }
    if (result.broken) tell(fmt::format("fail {} {} {}", index, result.broken->invariant, result.broken->sentence));
    probes.add(result.probes);
    ++sums["seeds"];
    sums["messages"] += result.messages;
    sums["frames"] += result.frames;
    sums["requests"] += result.requests;
    sums["tokens"] += result.tokens;
    sums["faults"] += result.faults;
    sums["simulated_ms"] += static_cast<std::uint64_t>(result.simulated_seconds * 1000);
    if (sums["seeds"] >= 50) flush();
  }
  flush();
}

struct lane {
  std::unique_ptr<worker> hand;
  std::uint64_t at = 0;  ///< the run it is in
};

void hear(const campaign_options& options, campaign_result& result, lane& from, const std::string& line) {
  std::istringstream words{line};
  std::string kind;
  words >> kind;
  if (kind == "at") {
    words >> from.at;
  } else if (kind == "sum") {
    std::string name;
    std::uint64_t value = 0;
    words >> name >> value;
    result.sums[name] += value;
  } else if (kind == "probe") {
    std::size_t which = 0;
    std::uint64_t value = 0;
    words >> which >> value;
    result.probes.of.at(which) += value;
  } else if (kind == "fail") {
    std::uint64_t index = 0;
    failed_seed failed;
    words >> index >> failed.invariant;
    std::getline(words >> std::ws, failed.sentence);
    auto place = place_of(options, index);
    failed.mode = place.which;
    failed.seed = place.seed;
    result.failures.push_back(std::move(failed));
  }
}

}  // namespace

trial_options options_of(const campaign_options& campaign, mode which, std::uint64_t seed) {
  auto options = draw_options(seed, which);
  set_fields(options, campaign.set);
  return options;
}

campaign_result run_campaign(const campaign_options& options) {
  auto begun = std::chrono::steady_clock::now();
  campaign_result result;
  auto end = options.seeds * options.modes.size();
  auto start = [&](std::uint64_t first) {
    return std::make_unique<worker>([&options, first, end](const emit& tell) { work(options, first, end, tell); });
  };
  std::vector<lane> lanes(options.jobs);
  for (unsigned i = 0; i < options.jobs; ++i)
    lanes[i] = {start(i), i};
  while (!lanes.empty() && result.failures.size() < options.failures_max) {
    std::vector<pollfd> waits;
    for (const auto& each : lanes)
      waits.push_back({each.hand->descriptor(), POLLIN, 0});
    if (poll(waits.data(), waits.size(), -1) < 0) continue;
    for (std::size_t i = lanes.size(); i-- > 0;) {
      if (waits[i].revents == 0) continue;
      if (lanes[i].hand->read([&](const std::string& line) { hear(options, result, lanes[i], line); })) continue;
      auto how = lanes[i].hand->end();
      if (how.empty()) {
        lanes.erase(lanes.begin() + static_cast<std::ptrdiff_t>(i));
        continue;
      }
      auto place = place_of(options, lanes[i].at);
      result.failures.push_back({place.which, place.seed, "crash", how});
      lanes[i].hand = start(lanes[i].at + options.jobs);
    }
  }
  std::stable_sort(result.failures.begin(), result.failures.end(),
                   [](const auto& a, const auto& b) { return a.seed < b.seed; });
  result.seeds = result.sums["seeds"];
  result.twice = result.sums["twice"];
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  return result;
}

failed_seed run_apart(const trial_options& options) {
  failed_seed failed{options.mode, options.seed, {}, {}};
  worker hand{[&options](const emit& tell) {
    alarm(seconds_of_a_seed_max);
    auto result = run_trial(options, false);
    if (result.broken) tell(fmt::format("{} {}", result.broken->invariant, result.broken->sentence));
  }};
  while (hand.read([&](const std::string& line) {
    auto space = std::min(line.find(' '), line.size() - 1);
    failed.invariant = line.substr(0, space);
    failed.sentence = line.substr(space + 1);
  })) {
  }
  if (auto how = hand.end(); !how.empty()) failed = {options.mode, options.seed, "crash", how};
  return failed;
}

}  // namespace troupe::simulation
