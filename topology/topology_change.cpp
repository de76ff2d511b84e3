// SPDX-License-Identifier: Apache-2.0
#include "topology/topology_change.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

namespace troupe {
namespace {

/// The first of `some` whose name is not among `others`.
template <class List>
std::string find_unlisted(const List& some, const List& others) {
  for (const auto& x : some)
    if (std::none_of(others.begin(), others.end(), [&](const auto& y) { return y.name == x.name; })) return x.name;
  return {};
}

auto as_tuple(const engine_section& x) {
  return std::tie(x.threads, x.block_tokens, x.kv_memory_bytes, x.kv_blocks, x.max_batch_tokens, x.max_sequences,
                  x.max_queue, x.max_wait_ms, x.context, x.free_memory_spread_bytes, x.hang_timeout_ms);
}

std::string find_changed_setting(const cluster_file& from, const cluster_file& to) {
  if (from.cluster != to.cluster) return "cluster";
  if (from.model != to.model) return "model";
  if (from.weights != to.weights) return "weights";
  if (from.isolation != to.isolation) return "isolation";
  if (as_tuple(from.engine) != as_tuple(to.engine)) return "engine";
  if (from.startup_timeout_s != to.startup_timeout_s) return "startup_timeout_s";
  if (from.collective_timeout_ms != to.collective_timeout_ms) return "collective_timeout_ms";
  if (from.restart_limit != to.restart_limit) return "restart_limit";
  if (from.restart_window_s != to.restart_window_s) return "restart_window_s";
  if (from.allow_faults != to.allow_faults) return "allow_faults";
  auto files = [](const std::optional<tls_files>& x) {
    return x ? std::tuple(x->certificate, x->key, x->ca)
             : std::tuple<std::filesystem::path, std::filesystem::path, std::filesystem::path>{};
  };
  if (files(from.tls) != files(to.tls)) return "tls";
  return {};
}

std::string find_changed_member(const cluster_file& from, const cluster_file& to) {
  for (const auto& node : from.nodes)
    if (const auto* same = to.find_node(node.name))
      if (same->cluster != node.cluster || same->http != node.http || same->api_key_file != node.api_key_file)
        return fmt::format(
            "node {} has another address, port, http or api_key_file; remove it and add it under another "
            "name, or restart the cluster",
            node.name);
  for (const auto& group : from.groups)
    for (const auto& same : to.groups)
      if (same.name == group.name && !(same == group))
        return fmt::format("group {} is not as it was; remove it and add it under another name", group.name);
  return {};
}

}  // namespace

std::string find_change_error(const cluster_file& from, const cluster_file& to, change_kind kind) {
  if (auto key = find_changed_setting(from, to); !key.empty())
    return fmt::format("{} is not as it was; a running cluster can only change nodes, groups and spares", key);
  if (from.nodes.front().name != to.nodes.front().name)
    return fmt::format("the first node must stay {}, which runs the topology actor", from.nodes.front().name);
  if (auto member = find_changed_member(from, to); !member.empty()) return member;
  const auto& more = kind == change_kind::add ? from : to;
  const auto& less = kind == change_kind::add ? to : from;
  const char* verb = kind == change_kind::add
                         ? "is not in the new file; `troupe node add` only adds, see `troupe node remove`"
                         : "is new; `troupe node remove` only removes, see `troupe node add`";
  if (auto name = find_unlisted(more.nodes, less.nodes); !name.empty()) return fmt::format("node {} {}", name, verb);
  if (auto name = find_unlisted(more.groups, less.groups); !name.empty()) return fmt::format("group {} {}", name, verb);
  for (const auto& place : more.spares)
    if (std::find(less.spares.begin(), less.spares.end(), place) == less.spares.end())
      return fmt::format("spare {} {}", to_string(place), verb);
  if (from.fingerprint == to.fingerprint) return "the new file is the one in force";
  return {};
}

}  // namespace troupe
