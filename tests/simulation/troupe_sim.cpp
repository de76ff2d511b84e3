// SPDX-License-Identifier: Apache-2.0
// The deterministic simulator's program; `./dev sim` builds and runs it.
#include <chrono>
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "tests/simulation/trial/trial.hpp"

using namespace troupe::simulation;

int main(int argc, char** argv) {
  CLI::App program{"Runs Troupe's actors in simulated clusters with faults, one for each seed"};
  std::uint64_t seeds = 100, base = 1;
  std::string set;
  program.add_option("--seeds", seeds);
  program.add_option("--seed-base", base);
  bool trace = false;
  program.add_flag("--trace", trace);
  std::uint64_t seed = 0;
  program.add_option("--seed", seed);
  program.add_option("--set", set);
  std::string which = "one";
  program.add_option("--mode", which);
  CLI11_PARSE(program, argc, argv);
  spdlog::set_level(spdlog::level::off);
  auto m = which == "one" ? mode::one : which == "several" ? mode::several : mode::spares;
  if (seed) { base = seed; seeds = 1; }
  auto begun = std::chrono::steady_clock::now();
  std::uint64_t failed = 0, messages = 0, frames=0, requests=0, tokens=0; double simulated = 0;
  probe_counts probes;
  std::map<std::string, int> kinds;
  for (auto s = base; s < base + seeds; ++s) {
    auto options = draw_options(s, m);
    set_fields(options, set);
    auto r = run_trial(options, trace);
    messages += r.messages; frames += r.frames; requests += r.requests; tokens += r.tokens; simulated += r.simulated_seconds;
    probes.add(r.probes);
    if (trace) { for (auto& n : r.notes) fmt::print("{}\n", n); fmt::print("{}\nhash {:x}\n", to_string(options), r.trace_hash);}
    if (r.broken) { ++failed; ++kinds[r.broken->invariant]; if (failed < 30) fmt::print("seed {} {} at {:.3f}: {}\n", s, r.broken->invariant, seconds_of(r.broken->when), r.broken->sentence); }
  }
  auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fmt::print("{} seeds, {} failed, {:.2f} s, {:.2f} ms a seed, {} messages, {} frames, {} requests, {} tokens, {:.0f} simulated s\n", seeds, failed, took, took * 1000 / double(seeds), messages, frames, requests, tokens, simulated);
  for (auto& [k, n] : kinds) fmt::print("  {} {}\n", k, n);
  for (std::size_t i = 0; i < probes.of.size(); ++i) fmt::print("  {:8} {}\n", probes.of[i], probe_names[i]);
  return failed ? 1 : 0;
}
