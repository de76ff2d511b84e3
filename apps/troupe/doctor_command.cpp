// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "actors/network.hpp"
#include "actors/system_config.hpp"
#include "actors/tcp_reach.hpp"
#include "apps/troupe/commands.hpp"
#include "apps/troupe/doctor_checks.hpp"
#include "apps/troupe/version.hpp"

namespace troupe {
namespace {

constexpr std::chrono::seconds answer_timeout{5};
constexpr std::chrono::seconds pair_timeout{60};

struct doctor_options {
  std::string topology;
  bool json = false;
  probe_node probe;
};

/// A node of the file, as seen from here.
struct examined_node {
  std::string name;
  host_port door;
  node_actor actor;  ///< null when it was not reached from here
  echoed self;
  std::string problem;
};

struct diagnosis {
  std::vector<doctor_finding> findings;
  std::vector<examined_node> nodes;
  std::vector<probe_report> pairs;

  bool good() const {
    auto any_runs = std::any_of(nodes.begin(), nodes.end(), [](const auto& node) { return node.actor; });
    return std::all_of(findings.begin(), findings.end(), [](const auto& finding) { return finding.good; }) &&
           std::all_of(nodes.begin(), nodes.end(), [&](const auto& n) { return n.problem.empty() || !any_runs; }) &&
           std::all_of(pairs.begin(), pairs.end(), [](const auto& pair) { return pair.problem.empty(); });
  }
};

template <class Result, class Message>
Result ask(caf::actor_system& system, const node_actor& node, std::chrono::milliseconds timeout, Message message) {
  std::optional<Result> result;
  caf::scoped_actor self{system};
  self->request(node, timeout, std::move(message))
      .receive([&](Result& value) { result = std::move(value); },
               [](const caf::error& reason) { throw std::runtime_error(describe(reason)); });
  return std::move(*result);
}

/// What about a node's answer does not fit the file that the doctor was given; empty when all does.
std::string mismatch(const echoed& peer, const cluster_file& file) {
  if (peer.protocol != protocol_version)
    return fmt::format("speaks protocol {} and this program {}; install the same version everywhere", peer.protocol,
                       protocol_version);
  if (peer.version != version)
    return fmt::format("is version {} and this program {}; install the same version everywhere", peer.version, version);
  if (peer.fingerprint != file.fingerprint)
    return "reads another topology file; copy one file to all nodes and start it again";
  return {};
}

examined_node examine(caf::actor_system& system, const cluster_file& file, const node_spec& node) {
  examined_node result{node.name, node.cluster, {}, {}, {}};
  const endpoint door{node.cluster.host, node.cluster.port};
  if (auto problem = tcp_problem(door, answer_timeout); !problem.empty()) {
    result.problem = fmt::format("does not answer at {} ({}); is it running, and is its port open to this machine?",
                                 to_string(node.cluster), problem);
    return result;
  }
  auto actor = knock(system, node.cluster.host, node.cluster.port);
  if (!actor) {
    result.problem = fmt::format(
        "has its port open and does not answer as a node of this cluster ({}); do both have TLS files of one authority "
        "(or neither), and the same version of Troupe?",
        to_string(actor.error()));
    return result;
  }
  result.actor = *actor;
  try {
    result.self = ask<echoed>(system, *actor, answer_timeout, echo{});
    result.problem = mismatch(result.self, file);
  } catch (const std::exception& error) {
    result.problem = fmt::format("does not say who it is: {}", error.what());
  }
  if (result.problem.empty() && result.self.node != node.name)
    result.problem =
        fmt::format("is node {} of its own file; the addresses of the file are mixed up", result.self.node);
  return result;
}

/// Asks one running node to reach another.
probe_report probe_pair(caf::actor_system& system, const examined_node& from, const examined_node& to,
                        probe_node order) {
  order.node = to.name;
  probe_report report;
  try {
    report = ask<probe_report>(system, from.actor, pair_timeout, std::move(order));
  } catch (const std::exception& error) {
    report.problem = fmt::format("node {} could not be asked: {}", from.name, error.what());
  }
  report.from = from.name;
  report.to = to.name;
  if (report.reached && report.peer.model_hash != from.self.model_hash)
    report.problem = fmt::format("{} serves another model; copy one model to both", to.name);
  return report;
}

diagnosis diagnose(const doctor_options& options) {
  auto file = load_cluster_file(options.topology);
  diagnosis result;
  result.findings = check_machine(file);
  auto usable = std::none_of(result.findings.begin(), result.findings.end(),
                             [](const auto& finding) { return finding.what == "tls files" && !finding.good; });
  if (!usable) return result;
  system_config config{{.network = true, .threads = 0, .tls = file.tls}};
  caf::actor_system system{config};
  for (const auto& node : file.nodes) {
    result.nodes.push_back(examine(system, file, node));
    if (result.nodes.back().actor || !is_here(node.cluster.host)) continue;
    for (auto& finding : check_idle_node(file, node))
      result.findings.push_back(std::move(finding));
  }
  for (const auto& from : result.nodes)
    for (const auto& to : result.nodes)
      if (from.actor && from.name != to.name) result.pairs.push_back(probe_pair(system, from, to, options.probe));
  return result;
}

double mebibytes_per_second(const probe_report& pair) {
  return pair.bytes_us == 0
             ? 0
             : static_cast<double>(pair.bytes) / (1024.0 * 1024.0) / (static_cast<double>(pair.bytes_us) / 1e6);
}

void print(const diagnosis& result) {
  for (const auto& finding : result.findings)
    fmt::print("{:4} {}: {}\n", finding.good ? "ok" : "BAD", finding.what, finding.detail);
  auto any_runs = std::any_of(result.nodes.begin(), result.nodes.end(), [](const auto& node) { return node.actor; });
  for (const auto& node : result.nodes)
    fmt::print("{:4} node {}: {}\n",
               node.problem.empty() ? "ok"
               : any_runs           ? "BAD"
                                    : "-",
               node.name,
               node.problem.empty() ? fmt::format("runs at {}, version {}", to_string(node.door), node.self.version)
                                    : node.problem);
  for (const auto& pair : result.pairs)
    fmt::print("{:4} {} -> {}: {}\n", pair.problem.empty() ? "ok" : "BAD", pair.from, pair.to,
               pair.problem.empty()
                   ? fmt::format("round trip {} us (99 % under {} us), {:.0f} MiB/s", pair.round_trip_p50_us,
                                 pair.round_trip_p99_us, mebibytes_per_second(pair))
                   : pair.problem);
}

nlohmann::ordered_json to_json(const diagnosis& result) {
  auto findings = nlohmann::ordered_json::array(), nodes = findings, pairs = findings;
  for (const auto& finding : result.findings)
    findings.push_back({{"what", finding.what}, {"good", finding.good}, {"detail", finding.detail}});
  for (const auto& node : result.nodes)
    nodes.push_back({{"name", node.name},
                     {"address", to_string(node.door)},
                     {"runs", static_cast<bool>(node.actor)},
                     {"version", node.self.version},
                     {"problem", node.problem}});
  for (const auto& pair : result.pairs)
    pairs.push_back({{"from", pair.from},
                     {"to", pair.to},
                     {"reached", pair.reached},
                     {"round_trip_p50_us", pair.round_trip_p50_us},
                     {"round_trip_p99_us", pair.round_trip_p99_us},
                     {"mebibytes_per_second", mebibytes_per_second(pair)},
                     {"problem", pair.problem}});
  return {{"good", result.good()}, {"checks", findings}, {"nodes", nodes}, {"pairs", pairs}};
}

int run_doctor(const doctor_options& options) {
  spdlog::set_level(spdlog::level::off);  // the findings are the output
  auto result = diagnose(options);
  if (options.json)
    fmt::print("{}\n", to_json(result).dump());
  else
    print(result);
  std::fflush(nullptr);
  return result.good() ? 0 : 1;
}

}  // namespace

void add_doctor_command(CLI::App& program, int& exit_code) {
  auto options = std::make_shared<doctor_options>();
  auto* command = program.add_subcommand("doctor", "Examine this machine and every pair of running nodes");
  command->add_option("topology", options->topology, "The topology file")->required();
  command->add_flag("--json", options->json, "One JSON object");
  command->add_option("--rounds", options->probe.rounds, "Small messages for the round trip")
      ->check(CLI::Range(1U, probe_rounds_max))
      ->capture_default_str();
  command->add_option("--parcels", options->probe.parcels, "Messages of 256 KiB for the bandwidth")
      ->check(CLI::Range(0U, probe_parcels_max))
      ->capture_default_str();
  command->callback([options, &exit_code] { exit_code = run_doctor(*options); });
}

}  // namespace troupe
