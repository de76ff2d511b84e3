// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

enum class rank_device_kind : std::uint8_t { cpu, cuda };

/// A device as the file names it, for example cuda:2. A cpu index only tells ranks of one node apart.
struct rank_device {
  rank_device_kind kind = rank_device_kind::cpu;
  std::uint32_t index = 0;
  friend auto operator<=>(const rank_device&, const rank_device&) = default;
};

/// Where one rank runs, for example a/cuda:2.
struct rank_place {
  std::string node;
  rank_device device;
  friend auto operator<=>(const rank_place&, const rank_place&) = default;
};

std::string to_string(rank_device x);
std::string to_string(const rank_place& x);

struct host_port {
  std::string host;        ///< a name or an address, IPv6 without brackets
  std::uint16_t port = 0;  ///< 0: the system picks a free one when it is bound
  friend bool operator==(const host_port&, const host_port&) = default;
};

/// host:port, or [host]:port for IPv6.
std::string to_string(const host_port& x);

/// True for 127.0.0.0/8, ::1 and localhost. Never asks a name server.
bool is_loopback(std::string_view host);

/// One machine's `troupe node`.
struct node_spec {
  std::string name;
  host_port cluster;                   ///< `address` and `port`: where the other nodes reach it
  std::optional<host_port> http;       ///< absent: this node has no gateway
  std::filesystem::path api_key_file;  ///< empty: HTTP asks for no key
};

enum class group_mode : std::uint8_t { sharded, replicated };
enum class kv_sync_mode : std::uint8_t { ring, pairwise };
enum class decode_mode : std::uint8_t { redundant, partitioned };

/// The ranks that together serve one copy of the model; the index in `ranks` is the rank.
struct group_spec {
  std::string name;
  group_mode mode = group_mode::sharded;
  std::uint32_t tensor = 1;
  std::uint32_t pipeline = 1;                   ///< of a replicated group: the number of its ranks
  std::uint32_t chunk = 128;                    ///< prompt tokens per chunk; replicated only
  kv_sync_mode kv_sync = kv_sync_mode::ring;    ///< replicated only
  decode_mode decode = decode_mode::redundant;  ///< replicated only
  std::vector<rank_place> ranks;
  bool shrink = false;  ///< rather a smaller shape, with other low bits, than none while places are missing
  friend bool operator==(const group_spec&, const group_spec&) = default;
};

enum class isolation_mode : std::uint8_t { process, thread };

/// The `engine` section: what every rank is given. Where a bound is named, the file is refused outside it.
struct engine_section {
  std::uint32_t threads = 0;        ///< per cpu rank, at most 1024; 0: the node's cores divided by its cpu ranks
  std::uint32_t block_tokens = 16;  ///< a power of two, 16 to 1024
  std::uint64_t kv_memory_bytes = 1ULL << 30;  ///< per rank, 1 MiB to 16 TiB; not looked at when kv_blocks is set
  std::uint64_t kv_blocks = 0;                 ///< per rank, at most 2^24; 0: as many as kv_memory holds
  std::uint32_t max_batch_tokens = 2048;       ///< fed by one step, 1 to 1,048,576
  std::uint32_t max_sequences = 64;            ///< running at once, 1 to 65,536, at most max_batch_tokens
  std::uint32_t max_queue = 4096;              ///< waiting at once, 1 to 1,048,576
  std::uint32_t max_wait_ms = 2000;            ///< expected before a new request is begun, at most 3,600,000; 0: any
  std::uint32_t context = 0;                   ///< tokens of prompt and answer; 0: as the model says
  std::uint64_t free_memory_spread_bytes = 2ULL << 30;  ///< by how much the free memory of a group's ranks may differ
  std::uint32_t hang_timeout_ms = 2000;                 ///< work pending and no progress, 100 to 3,600,000
};

/// Mutual TLS between nodes. Absent from the file: all three are empty.
struct tls_files {
  std::filesystem::path certificate;
  std::filesystem::path key;
  std::filesystem::path ca;
};

/// A checked topology file. Paths are resolved: a relative one is looked for beside the file, then in the working
/// directory; when it is in neither, it stays beside the file and the error comes from whoever opens it.
struct cluster_file {
  std::string cluster;
  std::filesystem::path model;    ///< empty only with random weights
  std::string weights = "files";  ///< files; random:NAME for weights made from a hash in the shape NAME; scripted:TIME
  /// How long a step takes in an engine without weights, whose tokens are a hash of what it was fed: to rehearse a
  /// cluster's failures without a model's cost. Absent: the engine computes.
  std::optional<std::chrono::milliseconds> scripted_step;
  std::vector<node_spec> nodes;    ///< in the file's order; the first one runs the topology actor
  std::vector<group_spec> groups;  ///< data-parallel copies, in the file's order
  std::vector<rank_place> spares;
  isolation_mode isolation = isolation_mode::process;
  engine_section engine;
  std::uint32_t startup_timeout_s = 60;         ///< 1 to 86,400
  std::uint32_t collective_timeout_ms = 10000;  ///< 10 to 3,600,000
  std::uint32_t restart_limit = 3;              ///< of one place within restart_window_s, 0 to 1,000,000
  std::uint32_t restart_window_s = 60;          ///< 1 to 86,400
  std::optional<tls_files> tls;
  bool allow_faults = false;      ///< `troupe inject` works
  std::uint64_t fingerprint = 0;  ///< of the file's bytes; unequal ones mean that two nodes read different files
  std::filesystem::path path;     ///< it was read from
  bool insecure = false;          ///< it was read with that option

  /// The node of that name, or nullptr.
  const node_spec* find_node(std::string_view name) const;
};

struct cluster_file_options {
  bool insecure = false;  ///< accept addresses other than loopback without TLS or an API key
};

/// Every problem of the file (at most 20), each as `file:line: key: what is wrong; what would be right`.
class cluster_file_error : public std::runtime_error {
 public:
  explicit cluster_file_error(std::vector<std::string> problems);
  const std::vector<std::string>& problems() const { return problems_; }

 private:
  std::vector<std::string> problems_;
};

/// Reads and checks a topology file of at most 1 MiB. Throws cluster_file_error.
cluster_file load_cluster_file(const std::filesystem::path& path, const cluster_file_options& options = {});

/// The same for text that is already in memory; `path` is named in errors and is what relative paths are beside.
cluster_file parse_cluster_file(std::string_view text, const std::filesystem::path& path,
                                const cluster_file_options& options = {});

}  // namespace troupe
