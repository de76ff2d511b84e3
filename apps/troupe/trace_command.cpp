// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include <CLI/CLI.hpp>
#include <caf/all.hpp>
#include <fmt/format.h>

#include "actors/system_config.hpp"
#include "actors/trace_client.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/connection_options.hpp"
#include "runtime/trace/trace_text.hpp"

namespace troupe {
namespace {

struct trace_options {
  connection_options connection;
  std::string request;
  std::uint32_t last = 0;
  std::uint32_t slowest = 0;
  bool json = false;
};

void print_requests(trace_client& traces, const trace_options& options) {
  auto order = options.slowest > 0 ? trace_order::slowest : trace_order::last;
  auto found = traces.requests(options.slowest > 0 ? options.slowest : options.last, order);
  fmt::print("{}", options.json ? summary_json(found) + "\n" : summary_text(found));
}

void print_trace(trace_client& traces, const trace_options& options) {
  auto key = parse_trace_key(options.request);
  if (!key)
    throw std::invalid_argument(fmt::format(
        "'{}' is no request id; `troupe ask --verbose` and `troupe trace --last 10` print some", options.request));
  auto trace = traces.trace(*key);
  if (trace.empty()) {
    auto problems = fmt::format("no record names request {}; the oldest events are overwritten first", options.request);
    for (const auto& problem : trace.problems)
      problems += "; " + problem;
    throw std::runtime_error(problems);
  }
  fmt::print("{}", options.json ? trace_json(trace) + "\n" : trace_text(trace));
}

int run_trace(const trace_options& options) {
  if (options.request.empty() == (options.last == 0 && options.slowest == 0))
    throw std::invalid_argument("give the id of a request, or --last N, or --slowest N");
  const auto target = resolve(options.connection);
  system_config config{target.system()};
  caf::actor_system system{config};
  trace_client traces{system, reach(system, target)};
  if (options.request.empty())
    print_requests(traces, options);
  else
    print_trace(traces, options);
  return 0;
}

}  // namespace

void add_trace_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<trace_options>();
  auto* command = program.add_subcommand("trace", "The way of a request: where it was when, and what was recovered");
  command->add_option("request", options->request, "Its id, as `troupe ask --verbose` and --last print it");
  command->add_option("--last", options->last, "List the last N requests instead");
  command->add_option("--slowest", options->slowest, "List the N slowest requests instead")->excludes("--last");
  add_connection_options(*command, options->connection);
  command->add_flag("--json", options->json, "One line of JSON");
  command->callback([options, &exit_code] { exit_code = run_trace(*options); });
}

}  // namespace troupe
