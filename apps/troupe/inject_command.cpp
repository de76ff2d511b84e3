// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/fault_injection.hpp"
#include "actors/system_config.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/connection_options.hpp"
#include "runtime/fault/random_faults.hpp"

namespace troupe {
namespace {

struct inject_options {
  connection_options connection;
  std::string verb;
  std::string target;
  fault what;
  bool random = false;
  std::uint64_t seed = 1;
  std::uint32_t count = 1;
  std::uint64_t every_ms = 2000;
};

fault fault_of(const inject_options& options) {
  auto what = options.what;
  auto kind = parse_fault_kind(options.verb);
  if (!kind)
    throw std::invalid_argument(fmt::format(
        "'{}' is no fault; give kill, freeze, slow, drop, wrong-token, hang or crash, or list or clear", options.verb));
  auto target = parse_fault_target(options.target);
  if (!target)
    throw std::invalid_argument(
        fmt::format("'{}' is no target; give a rank as GROUP/RANK, or ROLE:GROUP/RANK, or "
                    "ROLE:NODE, for example g0/1, engine:g0/1 or router:a",
                    options.target));
  what.kind = *kind;
  what.target = *target;
  return what;
}

std::vector<faulty_group> groups_of(const client& cluster) {
  std::vector<faulty_group> groups;
  for (const auto& group : cluster.status().view.groups)
    groups.emplace_back(group.name, static_cast<std::uint32_t>(group.members.size()));
  return groups;
}

/// One fault after another; one that the cluster cannot take just now is told and left out.
void inject_random(caf::actor_system& system, const client& cluster, fault_injection& faults,
                   const inject_options& options) {
  caf::scoped_actor pause{system};
  for (const auto& what : random_faults(options.seed, options.count, groups_of(cluster))) {
    try {
      auto id = faults.inject(what);
      fmt::print("{} {}\n", id, to_string(what));
    } catch (const client_error& error) {
      fmt::print("- {}: {}\n", to_string(what), error.what());
    }
    std::fflush(stdout);
    pause->receive(caf::after(std::chrono::milliseconds(options.every_ms)) >> [] {});
  }
}

int run_inject(const inject_options& options) {
  const auto target = resolve(options.connection);
  system_config config{target.system()};
  caf::actor_system system{config};
  auto cluster = reach(system, target);
  fault_injection faults{system, cluster};
  if (options.random)
    inject_random(system, cluster, faults, options);
  else if (options.verb == "list")
    for (const auto& line : faults.list())
      fmt::print("{}\n", line);
  else if (options.verb == "clear")
    faults.clear();
  else
    fmt::print("{} {}\n", faults.inject(fault_of(options)), to_string(fault_of(options)));
  return 0;
}

}  // namespace

void add_inject_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<inject_options>();
  auto* command = program.add_subcommand("inject", "Break something on purpose, where the topology file allows it");
  const auto time = CLI::AsNumberWithUnit(std::map<std::string, std::uint64_t>{{"ms", 1}, {"s", 1000}, {"min", 60000}},
                                          CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME");
  command->add_option("verb", options->verb, "kill, freeze, slow, drop, wrong-token, hang, crash, list or clear");
  command->add_option("target", options->target, "GROUP/RANK, ROLE:GROUP/RANK or ROLE:NODE");
  command->add_option("--at-step", options->what.at_step, "When its engine reaches this step of an epoch");
  command->add_option("--after-tokens", options->what.after_tokens, "When its engine has sampled that many tokens");
  command->add_option("--after", options->what.after_ms, "That long from now, for example 500ms")->transform(time);
  command->add_option("--for", options->what.for_ms, "How long it lasts, for example 10s")->transform(time);
  command->add_option("--factor", options->what.factor, "slow: a step takes that many times as long");
  command->add_option("--delay", options->what.delay_ms, "slow: and that much more, for example 20ms")->transform(time);
  command->add_option("--token", options->what.token, "crash: whenever a step feeds this token id");
  command->add_flag("--random", options->random, "Faults against ranks, drawn from --seed");
  command->add_option("--seed", options->seed, "Same seed and groups, same faults")->capture_default_str();
  command->add_option("--count", options->count, "How many")->capture_default_str();
  command->add_option("--every", options->every_ms, "Time between two")->transform(time);
  add_connection_options(*command, options->connection);
  command->callback([options, &exit_code] { exit_code = run_inject(*options); });
}

}  // namespace troupe
