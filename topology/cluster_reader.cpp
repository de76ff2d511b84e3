// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "topology/address.hpp"
#include "topology/cluster_file.hpp"
#include "topology/split_advice.hpp"
#include "topology/yaml_section.hpp"

namespace troupe {

namespace {

constexpr std::size_t nodes_max = 256;
constexpr std::size_t groups_max = 256;
constexpr std::size_t ranks_max = 1024;

/// FNV-1a: tells two files apart, and protects against nothing.
std::uint64_t fingerprint_of(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (auto c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3ULL;
  }
  return hash;
}

bool is_name(std::string_view text) {
  auto is_word = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !text.empty() && text.size() <= 63 && is_word(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_word(c) || c == '-' || c == '_' || c == '.'; });
}

constexpr const char* name_rule =
    "a name has 1 to 63 letters, digits, '-', '_' or '.' and starts with a letter or digit";

std::optional<rank_device> parse_device(std::string_view text) {
  rank_device out;
  if (text.starts_with("cuda:"))
    out.kind = rank_device_kind::cuda;
  else if (!text.starts_with("cpu:"))
    return std::nullopt;
  text.remove_prefix(text.find(':') + 1);
  const auto* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, out.index);
  if (error != std::errc{} || rest != end || out.index >= ranks_max) return std::nullopt;
  return out;
}

/// The time of "scripted:20ms".
std::optional<std::chrono::milliseconds> scripted_step(std::string_view weights) {
  constexpr std::string_view before = "scripted:", after = "ms";
  if (!weights.starts_with(before) || !weights.ends_with(after)) return std::nullopt;
  auto digits = weights.substr(before.size(), weights.size() - before.size() - after.size());
  std::uint32_t time = 0;
  auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), time);
  if (fault != std::errc{} || end != digits.data() + digits.size() || time > 60'000) return std::nullopt;
  return std::chrono::milliseconds{time};
}

/// Reads one file from top to bottom; what was seen so far is what duplicates are found with.
class cluster_reader {
 public:
  cluster_reader(std::filesystem::path path, const cluster_file_options& options)
      : path_(std::move(path)), options_(options), problems_(path_.string()) {}

  cluster_file read(std::string_view text);

 private:
  void read_model(yaml_section& section);
  void read_tls(yaml_section& section);
  void read_nodes(yaml_section& section);
  void read_node(const std::string& name, const yaml_place& place);
  void read_http(yaml_section& section, node_spec& node);
  void read_groups(yaml_section& section);
  void read_group(const yaml_place& place);
  void read_shape(yaml_section& section, group_spec& group);
  void read_replication(yaml_section& section, group_spec& group);
  void read_engine(yaml_section& section);
  std::vector<rank_place> read_places(const yaml_place& list);
  std::optional<rank_place> read_place(const yaml_place& place);
  void check_split(const yaml_section& section, const group_spec& group);
  void check_single_node_ports();
  void claim_address(const host_port& address, const yaml_place& place);
  void read_path(yaml_section& section, std::string_view key, std::filesystem::path& out, need how);

  std::filesystem::path path_;
  cluster_file_options options_;
  problem_list problems_;
  cluster_file file_;
  std::map<rank_place, int> device_lines_;
  std::map<std::string, int> address_lines_;
  std::set<std::string> group_names_;
  std::vector<yaml_place> free_ports_;  ///< node ports that are 0
};

cluster_file cluster_reader::read(std::string_view text) {
  yaml_tree tree;
  try {
    tree = parse_yaml(text);
  } catch (const yaml_error& error) {
    problems_.add(error.line(), "", error.what());
    throw cluster_file_error(problems_.take());
  }
  yaml_section section({&tree, "", tree.line}, problems_);
  if (tree.what == yaml_tree::kind::map) {
    section.read_text("cluster", file_.cluster, need::required);
    if (!file_.cluster.empty() && !is_name(file_.cluster))
      section.wrong("cluster", fmt::format("is {}; {}", quote(file_.cluster), name_rule));
    read_model(section);
    read_tls(section);
    read_nodes(section);
    read_groups(section);
    for (auto&& place : read_places(section.find("spares", need::optional)))
      file_.spares.push_back(std::move(place));
    section.read_choice("isolation", file_.isolation,
                        {{"process", isolation_mode::process}, {"thread", isolation_mode::thread}});
    read_engine(section);
    section.read_number("startup_timeout_s", file_.startup_timeout_s, 1, 86400);
    section.read_number("collective_timeout_ms", file_.collective_timeout_ms, 10, 3600000);
    section.read_number("restart_limit", file_.restart_limit, 0, 1000000);
    section.read_number("restart_window_s", file_.restart_window_s, 1, 86400);
    section.read_flag("allow_faults", file_.allow_faults);
    section.finish();
  }
  if (!problems_.empty()) throw cluster_file_error(problems_.take());
  file_.fingerprint = fingerprint_of(text);
  file_.path = path_;
  file_.insecure = options_.insecure;
  return std::move(file_);
}

void cluster_reader::read_path(yaml_section& section, std::string_view key, std::filesystem::path& out, need how) {
  std::string text;
  if (!section.read_text(key, text, how)) return;
  out = text;
  if (out.is_absolute()) return;
  auto beside = path_.parent_path() / out;
  std::error_code ignored;
  if (std::filesystem::exists(beside, ignored) || !std::filesystem::exists(out, ignored)) out = beside;
  out = out.lexically_normal();
}

void cluster_reader::read_model(yaml_section& section) {
  section.read_text("weights", file_.weights, need::optional);
  const bool random = file_.weights.starts_with("random:") && is_name(std::string_view(file_.weights).substr(7));
  file_.scripted_step = scripted_step(file_.weights);
  if (!random && !file_.scripted_step && file_.weights != "files")
    section.wrong("weights",
                  fmt::format("is {}; give files, random:NAME such as random:qwen3-0.6b, or scripted:TIME from "
                              "scripted:0ms to scripted:60000ms",
                              quote(file_.weights)));
  read_path(section, "model", file_.model, random ? need::optional : need::required);
}

void cluster_reader::read_tls(yaml_section& section) {
  auto place = section.find("tls", need::optional);
  if (!place.value) return;
  yaml_section part(place, problems_);
  tls_files files;
  read_path(part, "certificate", files.certificate, need::required);
  read_path(part, "key", files.key, need::required);
  read_path(part, "ca", files.ca, need::required);
  part.finish();
  file_.tls = std::move(files);
}

void cluster_reader::read_nodes(yaml_section& section) {
  auto place = section.find("nodes", need::required);
  if (!place.value) return;
  auto entries = map_entries(place, problems_);
  if (place.value->what != yaml_tree::kind::map) return;
  if (entries.empty()) section.wrong("nodes", "is empty; name at least one node");
  if (entries.size() > nodes_max) {
    section.wrong("nodes", fmt::format("has {} nodes; give at most {}", entries.size(), nodes_max));
    return;
  }
  for (const auto& [name, node] : entries)
    read_node(name, node);
  check_single_node_ports();
}

void cluster_reader::read_node(const std::string& name, const yaml_place& place) {
  if (!is_name(name)) problems_.add(place.line, place.path, fmt::format("is no name for a node; {}", name_rule));
  node_spec node;
  node.name = name;
  yaml_section section(place, problems_);
  if (place.value->what == yaml_tree::kind::map) {
    auto& host = node.cluster.host;
    std::uint32_t port = 0;
    if (section.read_text("address", host, need::required)) {
      if (!is_host(host))
        section.wrong("address", fmt::format("is {}; give an IP address or a host name, without a port", quote(host)));
      else if (is_any_address(host))
        section.wrong("address",
                      fmt::format("{} names no machine; give the address that the other nodes connect to", host));
      else if (!is_loopback(host) && !file_.tls && !options_.insecure)
        section.wrong("address",
                      fmt::format("{} is not loopback and the file has no tls; give tls: {{certificate, key, ca}}, "
                                  "use 127.0.0.1, or start with --insecure",
                                  host));
    }
    if (section.read_number("port", port, 0, 65535, need::required)) {
      node.cluster.port = static_cast<std::uint16_t>(port);
      auto found = section.find("port", need::required);
      if (port == 0) free_ports_.push_back(found);
      claim_address(node.cluster, found);
    }
    read_http(section, node);
    section.finish();
  }
  file_.nodes.push_back(std::move(node));
}

void cluster_reader::read_http(yaml_section& section, node_spec& node) {
  read_path(section, "api_key_file", node.api_key_file, need::optional);
  std::string text;
  if (!section.read_text("http", text, need::optional)) {
    if (!section.has("http") && !node.api_key_file.empty())
      section.wrong("api_key_file", "is given without http; give http: HOST:PORT too, or leave it out");
    return;
  }
  node.http = parse_host_port(text);
  if (!node.http) {
    section.wrong("http", fmt::format("is {}; give HOST:PORT such as 127.0.0.1:8080 or [::1]:8080", quote(text)));
    return;
  }
  claim_address(*node.http, section.find("http", need::optional));
  if (!is_loopback(node.http->host) && node.api_key_file.empty() && !options_.insecure)
    section.wrong("http",
                  fmt::format("{} is not loopback and there is no API key; give api_key_file, use 127.0.0.1, or "
                              "start with --insecure",
                              node.http->host));
}

void cluster_reader::claim_address(const host_port& address, const yaml_place& place) {
  if (address.port == 0 || address.host.empty()) return;
  auto normal = address;
  if (normal.host == "localhost") normal.host = "127.0.0.1";
  auto [at, fresh] = address_lines_.emplace(to_string(normal), place.line);
  if (!fresh)
    problems_.add(place.line, place.path,
                  fmt::format("{} is taken by line {}; give each its own port", to_string(address), at->second));
}

void cluster_reader::check_single_node_ports() {
  if (file_.nodes.size() < 2) return;
  for (const auto& place : free_ports_)
    problems_.add(place.line, place.path, "is 0, so the other nodes cannot know it; give a port from 1 to 65535");
}

void cluster_reader::read_groups(yaml_section& section) {
  auto place = section.find("groups", need::required);
  auto groups = list_items(place, problems_);
  if (place.value && place.value->what == yaml_tree::kind::sequence && groups.empty())
    section.wrong("groups", "is empty; give at least one group");
  if (groups.size() > groups_max) {
    section.wrong("groups", fmt::format("has {} groups; give at most {}", groups.size(), groups_max));
    return;
  }
  for (const auto& group : groups)
    read_group(group);
}

void cluster_reader::read_group(const yaml_place& place) {
  yaml_section section(place, problems_);
  if (place.value->what != yaml_tree::kind::map) return;
  group_spec group;
  if (section.read_text("name", group.name, need::required)) {
    if (!is_name(group.name)) section.wrong("name", fmt::format("is {}; {}", quote(group.name), name_rule));
    if (!group_names_.insert(group.name).second)
      section.wrong("name", fmt::format("{} is taken by another group; give each its own name", quote(group.name)));
  }
  section.read_choice("mode", group.mode, {{"sharded", group_mode::sharded}, {"replicated", group_mode::replicated}});
  auto list = section.find("ranks", need::required);
  group.ranks = read_places(list);
  const bool listed = list.value && list.value->what == yaml_tree::kind::sequence;
  const bool complete = listed && group.ranks.size() == list.value->items.size();
  if (listed && list.value->items.empty()) section.wrong("ranks", "is empty; give at least one NODE/DEVICE:INDEX");
  auto is_cuda = [](const rank_place& x) { return x.device.kind == rank_device_kind::cuda; };
  if (auto cuda = std::count_if(group.ranks.begin(), group.ranks.end(), is_cuda);
      cuda != 0 && cuda != static_cast<std::ptrdiff_t>(group.ranks.size()))
    section.wrong("ranks", "mixes cpu and cuda; the ranks of a group are all of one kind");
  section.read_flag("shrink", group.shrink);
  read_shape(section, group);
  read_replication(section, group);
  if (complete && !group.ranks.empty()) check_split(section, group);
  section.finish();
  file_.groups.push_back(std::move(group));
}

void cluster_reader::read_shape(yaml_section& section, group_spec& group) {
  section.read_number("tensor", group.tensor, 1, ranks_max);
  section.read_number("pipeline", group.pipeline, 1, ranks_max);
  if (group.mode == group_mode::sharded) return;
  for (const auto* key : {"tensor", "pipeline"})
    if (section.has(key))
      section.wrong(key, "is for sharded groups; leave it out, every rank of a replicated group is a stage");
  group.tensor = 1;
  group.pipeline = static_cast<std::uint32_t>(group.ranks.size());
}

void cluster_reader::read_replication(yaml_section& section, group_spec& group) {
  section.read_number("chunk", group.chunk, 1, 1 << 20);
  section.read_choice("kv_sync", group.kv_sync, {{"ring", kv_sync_mode::ring}, {"pairwise", kv_sync_mode::pairwise}});
  section.read_choice("decode", group.decode,
                      {{"redundant", decode_mode::redundant}, {"partitioned", decode_mode::partitioned}});
  if (group.mode == group_mode::replicated) return;
  for (const auto* key : {"chunk", "kv_sync", "decode"})
    if (section.has(key)) section.wrong(key, "is for replicated groups; leave it out, or give mode: replicated");
}

void cluster_reader::check_split(const yaml_section& section, const group_spec& group) {
  const auto ranks = static_cast<std::uint32_t>(group.ranks.size());
  const auto product = std::uint64_t{group.tensor} * group.pipeline;
  if (group.mode == group_mode::replicated || product == ranks) return;
  problems_.add(section.place().line, section.place().path,
                fmt::format("tensor {} x pipeline {} is {} ranks and {} {} listed; list {}, or give {}", group.tensor,
                            group.pipeline, product, ranks, ranks == 1 ? "is" : "are", product,
                            advise_shape(ranks, group.tensor, group.pipeline)));
}

void cluster_reader::read_engine(yaml_section& section) {
  auto place = section.find("engine", need::optional);
  if (!place.value) return;
  yaml_section part(place, problems_);
  if (place.value->what != yaml_tree::kind::map) return;
  auto& engine = file_.engine;
  part.read_number("threads", engine.threads, 0, 1024);
  if (part.read_number("block_tokens", engine.block_tokens, 16, 1024) &&
      (engine.block_tokens & (engine.block_tokens - 1)) != 0)
    part.wrong("block_tokens",
               fmt::format("is {}; give a power of two from 16 to 1024, such as 16", engine.block_tokens));
  part.read_size("kv_memory", engine.kv_memory_bytes, 1ULL << 20, 1ULL << 44);
  part.read_number("kv_blocks", engine.kv_blocks, 1, 1ULL << 24);
  if (part.has("kv_memory") && part.has("kv_blocks"))
    part.wrong("kv_blocks", "is given and so is kv_memory; give one of them");
  part.read_number("max_batch_tokens", engine.max_batch_tokens, 1, 1 << 20);
  part.read_number("max_sequences", engine.max_sequences, 1, 1 << 16);
  if (engine.max_sequences > engine.max_batch_tokens)
    part.wrong(
        part.has("max_sequences") ? "max_sequences" : "max_batch_tokens",
        fmt::format("a step of {} tokens cannot feed {} sequences; give max_sequences of at most max_batch_tokens",
                    engine.max_batch_tokens, engine.max_sequences));
  part.read_number("max_queue", engine.max_queue, 1, 1 << 20);
  part.read_number("max_wait", engine.max_wait_ms, 0, 3600000);
  part.read_number("context", engine.context, 0, 1 << 24);
  part.read_number("hang_timeout", engine.hang_timeout_ms, 100, 3600000);
  part.read_size("free_memory_spread", engine.free_memory_spread_bytes, 0, 1ULL << 44);
  part.finish();
}

std::vector<rank_place> cluster_reader::read_places(const yaml_place& list) {
  std::vector<rank_place> out;
  auto items = list_items(list, problems_);
  if (device_lines_.size() + items.size() > ranks_max) {
    problems_.add(list.line, list.path, fmt::format("makes more than {} ranks; give fewer", ranks_max));
    return out;
  }
  for (const auto& item : items)
    if (auto place = read_place(item)) out.push_back(std::move(*place));
  return out;
}

std::optional<rank_place> cluster_reader::read_place(const yaml_place& place) {
  constexpr const char* right = "give NODE/DEVICE:INDEX such as a/cpu:0 or a/cuda:2";
  if (!place.is_scalar()) {
    problems_.add(place.line, place.path, fmt::format("is no device; {}", right));
    return std::nullopt;
  }
  std::string_view text = place.text();
  auto slash = text.find('/');
  auto device = slash == std::string_view::npos ? std::nullopt : parse_device(text.substr(slash + 1));
  if (!device) {
    problems_.add(place.line, place.path, fmt::format("is {}; {}", quote(text), right));
    return std::nullopt;
  }
  rank_place out{std::string(text.substr(0, slash)), *device};
  if (!file_.find_node(out.node)) {
    if (file_.nodes.empty()) return std::nullopt;  // that there are none is said already
    std::vector<std::string> names;
    for (const auto& node : file_.nodes)
      names.push_back(node.name);
    if (names.size() > 8) names.resize(8);
    problems_.add(place.line, place.path,
                  fmt::format("there is no node {}; the nodes are {}", quote(out.node), fmt::join(names, ", ")));
    return std::nullopt;
  }
  auto [at, fresh] = device_lines_.emplace(out, place.line);
  if (!fresh)
    problems_.add(place.line, place.path,
                  fmt::format("{} is taken by line {}; give each device once", to_string(out), at->second));
  return out;
}

}  // namespace

cluster_file parse_cluster_file(std::string_view text, const std::filesystem::path& path,
                                const cluster_file_options& options) {
  return cluster_reader(path, options).read(text);
}

}  // namespace troupe
