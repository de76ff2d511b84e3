// SPDX-License-Identifier: Apache-2.0
// The deterministic simulator's program; `./dev sim` builds and runs it.
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "tests/simulation/trial/campaign.hpp"
#include "tests/simulation/trial/shrink.hpp"
#include "tests/simulation/trial/trial.hpp"
#include "tests/simulation/trial/worker.hpp"

namespace troupe::simulation {
namespace {

constexpr std::uint64_t probes_must_fire_from = 10'000;  // seeds

struct command_line {
  campaign_options campaign;
  std::string mode = "all";
  std::uint64_t seed = 0;
  bool trace = false;
  bool shrinks = true;
};

std::vector<mode> modes_of(const std::string& name) {
  if (name == "one") return {mode::one};
  if (name == "several") return {mode::several};
  if (name == "spares") return {mode::spares};
  return {mode::one, mode::several, mode::spares};
}

std::string replay_command(const trial_options& options) {
  return fmt::format("./dev sim --mode {} --seed {} --trace --set '{}'", to_string(options.mode), options.seed,
                     to_string(options));
}

void print_notes(const trial_options& options, std::size_t last) {
  worker hand{[&](const std::function<void(const std::string&)>& tell) {
    auto result = run_trial(options, true);
    auto first = last == 0 || result.notes.size() < last ? 0 : result.notes.size() - last;
    for (auto i = first; i < result.notes.size(); ++i)
      tell(result.notes[i]);
    tell(fmt::format("trace {:x}", result.trace_hash));
  }};
  while (hand.read([](const std::string& line) { fmt::print("{}\n", line); })) {
  }
  if (auto how = hand.end(); !how.empty()) fmt::print("the run crashed: {}\n", how);
}

/// Everything somebody needs who is to find out why.
void explain(const command_line& line, const failed_seed& failed) {
  auto options = options_of(line.campaign, failed.mode, failed.seed);
  fmt::print("\nseed {} mode {}\noptions: {}\nbroken: {}: {}\n", failed.seed, to_string(failed.mode),
             to_string(options), failed.invariant, failed.sentence);
  if (line.shrinks) {
    auto small = shrink(options, failed.invariant);
    fmt::print("shrunk to {} faults in {} runs\n", small.faults, small.runs);
    options = small.options;
  }
  fmt::print("last events:\n");
  print_notes(options, 200);
  fmt::print("replay: {}\n", replay_command(options));
}

int replay(const command_line& line) {
  for (auto which : modes_of(line.mode)) {
    auto options = options_of(line.campaign, which, line.seed);
    if (line.trace) print_notes(options, 0);
    auto failed = run_apart(options);
    if (failed.invariant.empty())
      fmt::print("seed {} mode {}: nothing broken\n", line.seed, to_string(which));
    else if (!line.trace)
      return explain(line, failed), 1;
    else
      return fmt::print("seed {} mode {}: {}: {}\n", line.seed, to_string(which), failed.invariant, failed.sentence), 1;
  }
  return 0;
}

int print_probes(const campaign_result& result) {
  int silent = 0;
  for (std::size_t i = 0; i < result.probes.of.size(); ++i) {
    fmt::print("  {:>10} {}\n", result.probes.of[i], probe_names[i]);
    if (result.probes.of[i] == 0) ++silent;
  }
  if (result.seeds < probes_must_fire_from || silent == 0) return 0;
  fmt::print("{} of these never happened in {} seeds\n", silent, result.seeds);
  return silent;
}

int run(command_line& line) {
  line.campaign.modes = modes_of(line.mode);
  if (line.seed != 0) return replay(line);
  auto result = run_campaign(line.campaign);
  auto& sums = result.sums;
  fmt::print("{} seeds in {:.1f} s ({:.0f} a minute), {} run twice, {:.1f} simulated hours\n", result.seeds,
             result.seconds, static_cast<double>(result.seeds) * 60 / result.seconds, result.twice,
             static_cast<double>(sums["simulated_ms"]) / 3'600'000);
  fmt::print("{} messages, {} frames, {} requests, {} tokens, {} faults\n", sums["messages"], sums["frames"],
             sums["requests"], sums["tokens"], sums["faults"]);
  auto silent = print_probes(result);
  fmt::print("{} failures\n", result.failures.size());
  for (const auto& failed : result.failures)
    fmt::print("  seed {} mode {}: {}: {}\n", failed.seed, to_string(failed.mode), failed.invariant, failed.sentence);
  if (!result.failures.empty() && line.shrinks) explain(line, result.failures.front());
  return result.failures.empty() && silent == 0 ? 0 : 1;
}

}  // namespace
}  // namespace troupe::simulation

int main(int argc, char** argv) {
  using namespace troupe::simulation;
  CLI::App program{"Runs Troupe's actors in simulated clusters, with faults drawn from a seed"};
  command_line line;
  program.add_option("--seeds", line.campaign.seeds, "Seeds of each mode")->capture_default_str();
  program.add_option("--seed-base", line.campaign.base, "The first seed")->capture_default_str();
  program.add_option("--mode", line.mode, "Shape of the clusters")
      ->check(CLI::IsMember({"one", "several", "spares", "all"}))
      ->capture_default_str();
  program.add_option("--seed", line.seed, "Only this one");
  program.add_flag("--trace", line.trace, "With --seed: everything that happens, in words");
  program.add_option("--set", line.campaign.set, "name=value of options to use in place of the drawn ones");
  program.add_option("--jobs", line.campaign.jobs, "Processes that run seeds")->capture_default_str();
  program.add_option("--failures", line.campaign.failures_max, "End after so many")->capture_default_str();
  program.add_flag("!--no-shrink", line.shrinks, "Report the failures and nothing more");
  CLI11_PARSE(program, argc, argv);
  spdlog::set_level(spdlog::level::off);
  try {
    return run(line);
  } catch (const std::exception& error) {
    fmt::print(stderr, "troupe_sim: {}\n", error.what());
    return 2;
  }
}
