// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/plan_command.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "topology/placement.hpp"

namespace troupe {

namespace {

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  static constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

/// The cpu ranks of each node; spares may have to compute beside all others.
std::map<std::string, std::uint32_t> count_cpu_ranks(const cluster_file& file) {
  std::map<std::string, std::uint32_t> out;
  auto count = [&](const rank_place& place) {
    if (place.device.kind == rank_device_kind::cpu) ++out[place.node];
  };
  for (const auto& group : file.groups)
    std::for_each(group.ranks.begin(), group.ranks.end(), count);
  std::for_each(file.spares.begin(), file.spares.end(), count);
  return out;
}

/// What a group that may shrink falls back to, without one rank, without two, and so on, while something is legal.
std::vector<std::string> list_smaller_shapes(const group_spec& group, const model_shape& shape) {
  std::vector<std::string> out;
  placement_choice choice;
  choice.shape = shape;
  choice.shrink = group.shrink;
  for (const auto& place : group.ranks)
    choice.homes.push_back({place, availability::present, 0});
  for (auto missing = group.ranks.size(); group.shrink && missing-- > 1;) {
    choice.homes[missing].state = availability::absent;
    auto smaller = place_group(group, choice);
    if (smaller.places.empty()) break;
    auto text = fmt::format("tensor {} x pipeline {}", smaller.tensor, smaller.pipeline);
    if (out.empty() || out.back() != text) out.push_back(std::move(text));
  }
  return out;
}

planned_rank plan_rank(const cluster_file& file, const group_spec& group, const rank_shard& shard,
                       const rank_memory& memory) {
  planned_rank out;
  out.shard = shard;
  const auto need = memory(group, shard);
  out.weight_bytes = need.weight_bytes;
  out.kv_blocks = file.engine.kv_blocks;
  if (out.kv_blocks == 0 && need.kv_bytes_per_block != 0)
    out.kv_blocks = file.engine.kv_memory_bytes / need.kv_bytes_per_block;
  out.kv_bytes = out.kv_blocks * need.kv_bytes_per_block;
  return out;
}

void find_waste_in_group(const planned_group& group, const model_shape& shape, std::vector<std::string>& out) {
  if (group.ranks.front().shard.kv_replicated)
    out.push_back(
        fmt::format("group {}: tensor {} exceeds the {} KV heads, so {} ranks hold the same KV cache; tensor {} x "
                    "pipeline {} holds it once",
                    group.name, group.tensor, shape.kv_heads, group.tensor / shape.kv_heads, shape.kv_heads,
                    group.pipeline * (group.tensor / shape.kv_heads)));
  const auto& first = group.ranks.front().shard;
  const auto& last = group.ranks.back().shard;
  if (first.layers() != last.layers())
    out.push_back(
        fmt::format("group {}: {} layers on {} stages are {} on the first and {} on the last, which waits for it",
                    group.name, shape.layers, group.pipeline, first.layers(), last.layers()));
  std::map<std::uint32_t, std::set<std::string>> stage_nodes;
  for (const auto& rank : group.ranks)
    stage_nodes[rank.shard.stage].insert(rank.shard.place.node);
  for (const auto& [stage, nodes] : stage_nodes)
    if (nodes.size() > 1)
      out.push_back(
          fmt::format("group {}: the tensor ranks of stage {} are on nodes {}, so each layer waits for the network; "
                      "list the ranks of a stage on one node",
                      group.name, stage, fmt::join(nodes, ", ")));
}

void find_waste_in_nodes(const cluster_file& file, std::uint32_t cores, std::vector<std::string>& out) {
  const auto cpu_ranks = count_cpu_ranks(file);
  for (const auto& [node, ranks] : cpu_ranks) {
    const auto threads = ranks * std::max(file.engine.threads, 1U);
    if (cores != 0 && threads > cores)
      out.push_back(
          fmt::format("node {}: {} cpu ranks with {} threads each are more than the {} cores; give at most {} threads",
                      node, ranks, std::max(file.engine.threads, 1U), cores, std::max(cores / ranks, 1U)));
  }
  std::set<std::string> used;
  for (const auto& group : file.groups)
    for (const auto& place : group.ranks)
      used.insert(place.node);
  for (const auto& place : file.spares)
    used.insert(place.node);
  for (const auto& node : file.nodes)
    if (!used.contains(node.name) && !node.http)
      out.push_back(
          fmt::format("node {}: has no rank, no spare and no http; leave it out, or give it one of them", node.name));
}

/// Two nodes with one address are one machine, where a GPU can be only one rank's.
void find_shared_devices(const cluster_file& file, std::vector<std::string>& out) {
  std::map<std::pair<std::string, std::uint32_t>, rank_place> seen;
  auto check = [&](const rank_place& place) {
    const auto* node = file.find_node(place.node);
    if (place.device.kind != rank_device_kind::cuda || !node) return;
    auto [at, fresh] = seen.emplace(std::pair(node->cluster.host, place.device.index), place);
    if (!fresh)
      out.push_back(fmt::format("{} and {} are the same device of {}; give each rank its own", to_string(at->second),
                                to_string(place), node->cluster.host));
  };
  for (const auto& group : file.groups)
    std::for_each(group.ranks.begin(), group.ranks.end(), check);
  std::for_each(file.spares.begin(), file.spares.end(), check);
}

void find_wrong_memory(const cluster_file& file, const planned_group& group, std::vector<std::string>& out) {
  if (group.kv_tokens == 0)
    out.push_back(fmt::format("group {}: kv_memory {} holds no block of KV cache; give more kv_memory", group.name,
                              format_bytes(file.engine.kv_memory_bytes)));
  else if (group.kv_tokens < file.engine.context)
    out.push_back(fmt::format(
        "group {}: the KV cache holds {} tokens and context is {}; give more kv_memory or a smaller context",
        group.name, group.kv_tokens, file.engine.context));
}

std::string split_of(const planned_group& group) {
  return group.mode == group_mode::sharded ? fmt::format("tensor {} x pipeline {}", group.tensor, group.pipeline)
                                           : fmt::format("replicated on {}", group.ranks.size());
}

void append_list(std::string& out, const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  out += fmt::format("{}:\n", title);
  for (const auto& line : lines)
    out += fmt::format("  - {}\n", line);
}

nlohmann::json to_json(const planned_rank& x) {
  return {{"rank", x.shard.rank},
          {"node", x.shard.place.node},
          {"device", to_string(x.shard.place.device)},
          {"tensor_rank", x.shard.tensor_rank},
          {"stage", x.shard.stage},
          {"first_layer", x.shard.first_layer},
          {"end_layer", x.shard.end_layer},
          {"query_heads", x.shard.query_heads},
          {"kv_heads", x.shard.kv_heads},
          {"kv_replicated", x.shard.kv_replicated},
          {"weight_bytes", x.weight_bytes},
          {"kv_bytes", x.kv_bytes},
          {"kv_blocks", x.kv_blocks},
          {"threads", x.threads}};
}

}  // namespace

plan_report make_plan(const cluster_file& file, const model_shape& shape, const rank_memory& memory,
                      std::uint32_t cores) {
  plan_report out;
  out.cluster = file.cluster;
  out.model = file.weights == "files" ? file.model.string() : file.weights;
  const auto cpu_ranks = count_cpu_ranks(file);
  for (const auto& spec : file.groups) {
    if (auto error = find_split_error(shape, spec.tensor, spec.pipeline); !error.empty()) {
      out.wrong.push_back(fmt::format("group {}: {}", spec.name, error));
      continue;
    }
    planned_group group{spec.name, spec.mode, spec.tensor, spec.pipeline, UINT64_MAX, {}, {}};
    group.smaller = list_smaller_shapes(spec, shape);
    for (const auto& shard : plan_shards(spec, shape)) {
      auto rank = plan_rank(file, spec, shard, memory);
      if (shard.place.device.kind == rank_device_kind::cpu)
        rank.threads =
            file.engine.threads != 0 ? file.engine.threads : std::max(cores / cpu_ranks.at(shard.place.node), 1U);
      group.kv_tokens = std::min(group.kv_tokens, rank.kv_blocks * file.engine.block_tokens);
      group.ranks.push_back(std::move(rank));
    }
    for (const auto& rank : group.ranks)
      out.spare_bytes = std::max(out.spare_bytes, rank.weight_bytes + rank.kv_bytes);
    find_wrong_memory(file, group, out.wrong);
    find_waste_in_group(group, shape, out.wasteful);
    out.groups.push_back(std::move(group));
  }
  for (const auto& place : file.spares)
    out.spares.push_back(to_string(place));
  find_shared_devices(file, out.wrong);
  find_waste_in_nodes(file, cores, out.wasteful);
  return out;
}

std::string format_plan(const plan_report& report) {
  auto out = fmt::format("cluster {}, model {}\n", report.cluster, report.model);
  for (const auto& group : report.groups) {
    out += fmt::format("group {}: {}, KV cache for {} tokens\n", group.name, split_of(group), group.kv_tokens);
    out += fmt::format("  {:>4}  {:<16} {:>5} {:>6}  {:>9} {:>7} {:>8}  {:>10} {:>10} {:>10} {:>7}\n", "rank", "where",
                       "stage", "tensor", "layers", "q heads", "KV heads", "weights", "KV cache", "in all", "threads");
    for (const auto& rank : group.ranks) {
      const auto& x = rank.shard;
      out += fmt::format("  {:>4}  {:<16} {:>5} {:>6}  {:>9} {:>7} {:>8}  {:>10} {:>10} {:>10} {:>7}\n", x.rank,
                         to_string(x.place), x.stage, x.tensor_rank,
                         fmt::format("{}-{}", x.first_layer, x.end_layer - 1), x.query_heads,
                         fmt::format("{}{}", x.kv_heads, x.kv_replicated ? "*" : ""), format_bytes(rank.weight_bytes),
                         format_bytes(rank.kv_bytes), format_bytes(rank.weight_bytes + rank.kv_bytes),
                         rank.threads == 0 ? std::string("-") : std::to_string(rank.threads));
    }
  }
  for (const auto& group : report.groups)
    if (!group.smaller.empty())
      out += fmt::format("group {} shrinks to: {}\n", group.name, fmt::join(group.smaller, ", "));
  if (!report.spares.empty())
    out += fmt::format("spares: {}; each needs up to {}\n", fmt::join(report.spares, ", "),
                       format_bytes(report.spare_bytes));
  append_list(out, "wrong", report.wrong);
  append_list(out, "wasteful", report.wasteful);
  if (report.wrong.empty() && report.wasteful.empty()) out += "nothing is wrong or wasteful\n";
  return out;
}

std::string format_plan_json(const plan_report& report) {
  nlohmann::json groups = nlohmann::json::array();
  for (const auto& group : report.groups) {
    nlohmann::json ranks = nlohmann::json::array();
    for (const auto& rank : group.ranks)
      ranks.push_back(to_json(rank));
    groups.push_back({{"name", group.name},
                      {"mode", group.mode == group_mode::sharded ? "sharded" : "replicated"},
                      {"tensor", group.tensor},
                      {"pipeline", group.pipeline},
                      {"kv_tokens", group.kv_tokens},
                      {"smaller", group.smaller},
                      {"ranks", std::move(ranks)}});
  }
  const nlohmann::json out{{"cluster", report.cluster},         {"model", report.model},
                           {"groups", std::move(groups)},       {"spares", report.spares},
                           {"spare_bytes", report.spare_bytes}, {"wrong", report.wrong},
                           {"wasteful", report.wasteful}};
  return out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace troupe
