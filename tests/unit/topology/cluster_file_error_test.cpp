// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "topology/cluster_file.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Equals;

namespace {

std::vector<std::string> problems_of(const std::string& text, cluster_file_options options = {}) {
  try {
    parse_cluster_file(text, "t.yaml", options);
  } catch (const cluster_file_error& error) {
    return error.problems();
  }
  return {};
}

/// The one problem of a text; a test that expects one problem must not get two.
std::string problem_of(const std::string& text) {
  auto problems = problems_of(text);
  REQUIRE(problems.size() == 1);
  return problems[0];
}

constexpr const char* head = "cluster: c\nmodel: m\n";
constexpr const char* node = "nodes: {a: {address: 127.0.0.1, port: 4242}}\n";
constexpr const char* group = "groups: [{name: g, ranks: [a/cpu:0]}]\n";

std::string with(const std::string& more) { return std::string(head) + node + group + more; }
std::string with_nodes(const std::string& nodes) { return std::string(head) + "nodes: " + nodes + "\n" + group; }
std::string with_groups(const std::string& groups) { return std::string(head) + node + "groups: " + groups + "\n"; }

/// A file in a fresh folder that goes away with it.
class temporary_file {
 public:
  explicit temporary_file(const std::string& text) {
    char name[] = "/tmp/troupe-topology-XXXXXX";
    folder_ = mkdtemp(name);
    std::ofstream(path()) << text;
  }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;
  ~temporary_file() { std::filesystem::remove_all(folder_); }
  std::filesystem::path path() const { return folder_ / "t.yaml"; }

 private:
  std::filesystem::path folder_;
};

std::string load_problem(const std::filesystem::path& path) {
  try {
    load_cluster_file(path);
  } catch (const cluster_file_error& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("the base that the other cases change is right") { CHECK(problems_of(with("")).empty()); }

TEST_CASE("an unknown key is named with the one that was meant") {
  CHECK_THAT(problem_of(with("isolaton: process")), Equals("t.yaml:5: isolaton: is no known key; isolation is one"));
  CHECK_THAT(problem_of(with_groups("[{name: g, tensr: 1, ranks: [a/cpu:0]}]")),
             Equals("t.yaml:4: groups[0].tensr: is no known key; tensor is one"));
  CHECK_THAT(
      problem_of(with("engine: {zzzzzz: 1}")),
      Equals("t.yaml:5: engine.zzzzzz: is no known key; the keys here are threads, block_tokens, kv_memory, kv_blocks, "
             "max_batch_tokens, max_sequences, max_queue, max_wait, context, hang_timeout, free_memory_spread"));
}

TEST_CASE("a missing key is named") {
  auto problems = problems_of("{}");
  REQUIRE(problems.size() == 4);
  CHECK_THAT(problems[0], Equals("t.yaml:1: cluster: is missing; it has no default"));
  CHECK_THAT(problems[1], Equals("t.yaml:1: model: is missing; it has no default"));
  CHECK_THAT(problems[2], Equals("t.yaml:1: nodes: is missing; it has no default"));
  CHECK_THAT(problems[3], Equals("t.yaml:1: groups: is missing; it has no default"));
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1}}")),
             Equals("t.yaml:3: nodes.a.port: is missing; it has no default"));
  CHECK_THAT(problem_of(with("tls: {certificate: c, key: k}")),
             Equals("t.yaml:5: tls.ca: is missing; it has no default"));
}

TEST_CASE("a value of the wrong type is named with the right one") {
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1, port: http}}")),
             Equals("t.yaml:3: nodes.a.port: is http; give a whole number from 0 to 65535"));
  CHECK_THAT(problem_of(with("allow_faults: yes")), Equals("t.yaml:5: allow_faults: is yes; give true or false"));
  CHECK_THAT(problem_of(with("spares: a/cpu:1")),
             Equals("t.yaml:5: spares: is a single value; give a list such as [x, y]"));
  CHECK_THAT(problem_of(with("engine: [1]")), Equals("t.yaml:5: engine: is a list; give a map such as {key: value}"));
  CHECK_THAT(problem_of(with("engine:")), Equals("t.yaml:5: engine: is empty; give a map such as {key: value}"));
  CHECK_THAT(problem_of(with("isolation: container")),
             Equals("t.yaml:5: isolation: is container; give process or thread"));
  CHECK_THAT(problem_of(with("startup_timeout_s: 1.5")),
             Equals("t.yaml:5: startup_timeout_s: is 1.5; give a whole number from 1 to 86400"));
  CHECK_THAT(problem_of(with("startup_timeout_s: -1")),
             Equals("t.yaml:5: startup_timeout_s: is -1; give a whole number from 1 to 86400"));
  CHECK_THAT(problem_of(with("engine: {kv_memory: 2GB}")),
             Equals("t.yaml:5: engine.kv_memory: is 2GB; give a size from 1MiB to 16TiB, such as 512MiB or 2GiB"));
  CHECK_THAT(problem_of(with("engine: {kv_memory: 99999999999TiB}")),
             ContainsSubstring("give a size from 1MiB to 16TiB"));
  CHECK_THAT(problem_of(with("weights: rnadom:x")),
             Equals("t.yaml:5: weights: is rnadom:x; give files, random:NAME such as random:qwen3-0.6b, or "
                    "scripted:TIME from scripted:0ms to scripted:60000ms"));
  CHECK_THAT(problem_of("[]"), Equals("t.yaml:1: is a list; give a map such as {key: value}"));
  CHECK_THAT(problem_of(""), Equals("t.yaml:1: is empty; give a map such as {key: value}"));
}

TEST_CASE("a number out of range is named with its range") {
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1, port: 65536}}")),
             Equals("t.yaml:3: nodes.a.port: is 65536; give a whole number from 0 to 65535"));
  CHECK_THAT(problem_of(with("engine: {block_tokens: 24}")),
             Equals("t.yaml:5: engine.block_tokens: is 24; give a power of two from 16 to 1024, such as 16"));
  CHECK_THAT(
      problem_of(with("engine: {max_batch_tokens: 32}")),
      Equals(
          "t.yaml:5: engine.max_batch_tokens: a step of 32 tokens cannot feed 64 sequences; give max_sequences of at "
          "most max_batch_tokens"));
  CHECK_THAT(problem_of(with("engine: {kv_memory: 1GiB, kv_blocks: 7}")),
             Equals("t.yaml:5: engine.kv_blocks: is given and so is kv_memory; give one of them"));
  CHECK_THAT(
      problem_of(with("collective_timeout_ms: 99999999999999999999")),
      Equals("t.yaml:5: collective_timeout_ms: is 99999999999999999999; give a whole number from 10 to 3600000"));
}

TEST_CASE("a key that is there twice is refused") {
  CHECK_THAT(problem_of(with("cluster: d")), Equals("t.yaml:5: cluster: is there twice; keep one"));
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1, port: 1}, a: {address: 127.0.0.1, port: 2}}")),
             Equals("t.yaml:3: nodes.a: is there twice; keep one"));
}

TEST_CASE("each device is used once and belongs to a node of the file") {
  CHECK_THAT(problem_of(with("spares: [a/cpu:0]")),
             Equals("t.yaml:5: spares[0]: a/cpu:0 is taken by line 4; give each device once"));
  CHECK_THAT(problem_of(with("spares: [b/cpu:0]")), Equals("t.yaml:5: spares[0]: there is no node b; the nodes are a"));
  for (const auto* bad : {"a", "a/cpu", "a/cpu:", "a/cpu:-1", "a/gpu:0", "a/cuda:x", "a/cpu:1024", "a/cpu:0:1"})
    CHECK_THAT(
        problem_of(with(std::string("spares: [\"") + bad + "\"]")),
        Equals(std::string("t.yaml:5: spares[0]: is ") + bad + "; give NODE/DEVICE:INDEX such as a/cpu:0 or a/cuda:2"));
  CHECK_THAT(problem_of(with("spares: [[a]]")),
             Equals("t.yaml:5: spares[0]: is no device; give NODE/DEVICE:INDEX such as a/cpu:0 or a/cuda:2"));
  CHECK_THAT(problem_of(with_groups("[{name: g, tensor: 2, ranks: [a/cpu:0, a/cuda:0]}]")),
             Equals("t.yaml:4: groups[0].ranks: mixes cpu and cuda; the ranks of a group are all of one kind"));
}

TEST_CASE("a group whose shape does not fit its ranks is refused with the shapes that do") {
  CHECK_THAT(
      problem_of(with_groups("[{name: g, tensor: 2, pipeline: 2, ranks: [a/cpu:0, a/cpu:1, a/cpu:2]}]")),
      Equals("t.yaml:4: groups[0]: tensor 2 x pipeline 2 is 4 ranks and 3 are listed; list 4, or give tensor 1 x "
             "pipeline 3 or tensor 3 x pipeline 1"));
  CHECK_THAT(
      problem_of(with_groups("[{name: g, ranks: [a/cpu:0, a/cpu:1]}]")),
      Equals("t.yaml:4: groups[0]: tensor 1 x pipeline 1 is 1 ranks and 2 are listed; list 1, or give tensor 1 x "
             "pipeline 2 or tensor 2 x pipeline 1"));
  CHECK_THAT(problem_of(with_groups("[{name: g, ranks: []}]")),
             Equals("t.yaml:4: groups[0].ranks: is empty; give at least one NODE/DEVICE:INDEX"));
  CHECK_THAT(problem_of(with_groups("[]")), Equals("t.yaml:4: groups: is empty; give at least one group"));
  CHECK_THAT(
      problem_of(with_groups("[{name: g, mode: replicated, tensor: 2, ranks: [a/cpu:0, a/cpu:1]}]")),
      Equals("t.yaml:4: groups[0].tensor: is for sharded groups; leave it out, every rank of a replicated group is a "
             "stage"));
  CHECK_THAT(problem_of(with_groups("[{name: g, chunk: 64, ranks: [a/cpu:0]}]")),
             Equals("t.yaml:4: groups[0].chunk: is for replicated groups; leave it out, or give mode: replicated"));
}

TEST_CASE("names are checked and told apart") {
  CHECK_THAT(problem_of(with_groups("[{name: g, ranks: [a/cpu:0]}, {name: g, ranks: [a/cpu:1]}]")),
             Equals("t.yaml:4: groups[1].name: g is taken by another group; give each its own name"));
  CHECK_THAT(
      problem_of(with_groups("[{name: 'g 0', ranks: [a/cpu:0]}]")),
      Equals("t.yaml:4: groups[0].name: is g 0; a name has 1 to 63 letters, digits, '-', '_' or '.' and starts with a "
             "letter or digit"));
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1, port: 1}, a/b: {address: 127.0.0.1, port: 2}}")),
             ContainsSubstring("nodes.a/b: is no name for a node; a name has"));
  CHECK_THAT(problem_of(with_nodes("{}")), Equals("t.yaml:3: nodes: is empty; name at least one node"));
}

TEST_CASE("addresses are checked, and no two listen on the same one") {
  CHECK_THAT(problem_of(with_nodes("{a: {address: 10.0.0.256, port: 1}}")),
             Equals("t.yaml:3: nodes.a.address: is 10.0.0.256; give an IP address or a host name, without a port"));
  CHECK_THAT(
      problem_of(with_nodes("{a: {address: 0.0.0.0, port: 1}}")),
      Equals("t.yaml:3: nodes.a.address: 0.0.0.0 names no machine; give the address that the other nodes connect to"));
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1, port: 1, http: 8080}}")),
             Equals("t.yaml:3: nodes.a.http: is 8080; give HOST:PORT such as 127.0.0.1:8080 or [::1]:8080"));
  CHECK_THAT(problem_of(with_nodes("\n  a: {address: 127.0.0.1, port: 1}\n  b: {address: localhost, port: 1}")),
             Equals("t.yaml:5: nodes.b.port: localhost:1 is taken by line 4; give each its own port"));
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1, port: 80, http: 127.0.0.1:80}}")),
             Equals("t.yaml:3: nodes.a.http: 127.0.0.1:80 is taken by line 3; give each its own port"));
  CHECK_THAT(problem_of(with_nodes("{a: {address: 127.0.0.1, port: 0}, b: {address: 127.0.0.1, port: 1}}")),
             Equals("t.yaml:3: nodes.a.port: is 0, so the other nodes cannot know it; give a port from 1 to 65535"));
}

TEST_CASE("an address other than loopback needs TLS or a key, or the word insecure") {
  const auto cluster = with_nodes("{a: {address: 10.0.0.1, port: 1}}");
  CHECK_THAT(
      problem_of(cluster),
      Equals(
          "t.yaml:3: nodes.a.address: 10.0.0.1 is not loopback and the file has no tls; give tls: {certificate, key, "
          "ca}, use 127.0.0.1, or start with --insecure"));
  CHECK(problems_of(cluster, {.insecure = true}).empty());
  CHECK(problems_of(cluster + "tls: {certificate: c, key: k, ca: a}").empty());
  const auto http = with_nodes("{a: {address: 127.0.0.1, port: 1, http: 0.0.0.0:80}}");
  CHECK_THAT(
      problem_of(http),
      Equals(
          "t.yaml:3: nodes.a.http: 0.0.0.0 is not loopback and there is no API key; give api_key_file, use 127.0.0.1, "
          "or start with --insecure"));
  CHECK(problems_of(http, {.insecure = true}).empty());
  CHECK_THAT(
      problem_of(with_nodes("{a: {address: 127.0.0.1, port: 1, api_key_file: k}}")),
      Equals("t.yaml:3: nodes.a.api_key_file: is given without http; give http: HOST:PORT too, or leave it out"));
}

TEST_CASE("all problems are reported at once, and at most twenty") {
  auto problems = problems_of(
      "cluster: c\nmodel: m\nnodes: {a: {address: x y, port: -1}}\ngroups: [{name: g, ranks: [b/cpu:0]}]\n");
  REQUIRE(problems.size() == 3);
  CHECK_THAT(problems[0], ContainsSubstring("nodes.a.address"));
  CHECK_THAT(problems[1], ContainsSubstring("nodes.a.port"));
  CHECK_THAT(problems[2], ContainsSubstring("groups[0].ranks[0]"));
  std::string many;
  for (int i = 0; i < 100; ++i)
    many += "key" + std::to_string(i) + ": 1\n";
  CHECK(problems_of(with(many)).size() == 20);
}

TEST_CASE("what is no plain YAML is refused with its line") {
  CHECK_THAT(problem_of("cluster: c\nmodel: [\n"), ContainsSubstring("t.yaml:3: no valid YAML: "));
  CHECK_THAT(problem_of("a: &x 1\nb: *x\n"),
             Equals("t.yaml:1: anchors and aliases (& and *) are not read; write the value out"));
  CHECK_THAT(problem_of("a: !!int 1\n"), Equals("t.yaml:1: tags (!) are not read; leave the tag out"));
  CHECK_THAT(problem_of("? [a]\n: 1\n"), Equals("t.yaml:1: a key is a list or a map; a key is a word"));
  CHECK_THAT(problem_of("a: 1\n---\nb: 1\n"), ContainsSubstring("more than one document"));
}

TEST_CASE("a hostile file gives an error and costs little") {
  CHECK_THAT(problem_of("a: " + std::string(16, '[') + std::string(16, ']')),
             ContainsSubstring("more than 16 levels deep"));
  CHECK_FALSE(problems_of("a: " + std::string(100000, '[')).empty());
  CHECK_FALSE(problems_of(std::string(100000, '{')).empty());
  std::string deep;
  for (int i = 0; i < 64; ++i)
    deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK_THAT(problem_of(deep), ContainsSubstring("more than 16 levels deep"));
  std::string wide = "a: [";
  for (int i = 0; i < 70000; ++i)
    wide += "1,";
  CHECK_THAT(problem_of(wide + "]"), ContainsSubstring("more than 65,536 values"));
  CHECK_FALSE(problems_of(std::string("\0\xff\xfe{}\x01", 6)).empty());
  CHECK_FALSE(problems_of("a: \"\xff\xff\"").empty());
  const auto unknown = problems_of(with("\"\\x01\\n\\e[31m" + std::string(500, 'x') + "\": 1"));
  REQUIRE(unknown.size() == 1);
  CHECK(unknown[0].find_first_of("\x01\n\x1b") == std::string::npos);
  CHECK(unknown[0].size() < 400);
}

TEST_CASE("a file that anybody may write, that is too large or is no file is not read") {
  temporary_file file(with(""));
  CHECK(load_problem(file.path()).empty());
  chmod(file.path().c_str(), 0666);
  CHECK_THAT(
      load_problem(file.path()),
      Equals(file.path().string() + ": can be written by everyone, who could then choose what runs here; chmod o-w " +
             file.path().string()));
  CHECK_THAT(load_problem("/no/such/file.yaml"),
             Equals("/no/such/file.yaml: cannot be opened (No such file or directory); give a topology file"));
  CHECK_THAT(load_problem(file.path().parent_path()), ContainsSubstring("is no regular file; give a topology file"));
  temporary_file large(with("#" + std::string(1 << 20, ' ')));
  CHECK_THAT(load_problem(large.path()), ContainsSubstring(": is larger than 1 MiB; a topology file is at most 1 MiB"));
}
