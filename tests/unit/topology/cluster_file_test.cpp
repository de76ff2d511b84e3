// SPDX-License-Identifier: Apache-2.0
#include "topology/cluster_file.hpp"

#include <filesystem>

#include <catch2/catch_test_macros.hpp>

using namespace troupe;

namespace {

constexpr const char* two_machines = R"(cluster: demo
model: models/qwen3-0.6b           # a Hugging Face folder: config.json, *.safetensors, tokenizer.json
nodes:
  a: {address: 10.0.0.1, port: 4242, http: 127.0.0.1:8080}
  b: {address: 10.0.0.2, port: 4242}
groups:
  - name: g0
    mode: sharded                  # tensor x pipeline: weights and KV cache are split
    tensor: 2
    pipeline: 1
    ranks: [a/cuda:0, a/cuda:2]    # index = rank; any order, any ids, each device once
  - name: g1
    mode: replicated               # prompt chunks flow through layer stages; every rank ends with the whole KV cache
    chunk: 64
    kv_sync: pairwise              # ring | pairwise
    decode: partitioned            # redundant | partitioned
    ranks: [b/cpu:0, b/cpu:1, b/cpu:2]
spares: [a/cuda:3]
isolation: thread                  # process | thread (ranks inside the node process: tests, laptops)
)";

}  // namespace

TEST_CASE("a file with every part of the format is read whole") {
  auto file = parse_cluster_file(two_machines, "somewhere/t.yaml", {.insecure = true});
  CHECK(file.cluster == "demo");
  CHECK(file.model == "somewhere/models/qwen3-0.6b");
  CHECK(file.weights == "files");
  REQUIRE(file.nodes.size() == 2);
  CHECK(file.nodes[0].name == "a");
  CHECK(file.nodes[0].cluster == host_port{"10.0.0.1", 4242});
  CHECK(file.nodes[0].http == host_port{"127.0.0.1", 8080});
  CHECK_FALSE(file.nodes[1].http);
  REQUIRE(file.groups.size() == 2);
  CHECK(file.groups[0].mode == group_mode::sharded);
  CHECK(file.groups[0].tensor == 2);
  CHECK(file.groups[0].pipeline == 1);
  CHECK(to_string(file.groups[0].ranks.at(1)) == "a/cuda:2");
  CHECK(file.groups[1].mode == group_mode::replicated);
  CHECK(file.groups[1].pipeline == 3);
  CHECK(file.groups[1].chunk == 64);
  CHECK(file.groups[1].kv_sync == kv_sync_mode::pairwise);
  CHECK(file.groups[1].decode == decode_mode::partitioned);
  CHECK(file.spares == std::vector<rank_place>{{"a", {rank_device_kind::cuda, 3}}});
  CHECK(file.isolation == isolation_mode::thread);
  CHECK(file.find_node("b") == &file.nodes[1]);
  CHECK(file.find_node("c") == nullptr);
}

TEST_CASE("what a file leaves out has the documented default") {
  auto file = parse_cluster_file(
      "cluster: c\nmodel: /m\nnodes: {a: {address: 127.0.0.1, port: 0}}\ngroups: [{name: g, ranks: [a/cpu:0]}]\n",
      "t.yaml");
  CHECK(file.model == "/m");
  CHECK(file.groups[0].mode == group_mode::sharded);
  CHECK(file.groups[0].tensor == 1);
  CHECK(file.groups[0].pipeline == 1);
  CHECK(file.isolation == isolation_mode::process);
  CHECK(file.engine.threads == 0);
  CHECK(file.engine.block_tokens == 16);
  CHECK(file.engine.kv_memory_bytes == 1ULL << 30);
  CHECK(file.engine.kv_blocks == 0);
  CHECK(file.engine.max_batch_tokens == 2048);
  CHECK(file.engine.max_sequences == 64);
  CHECK(file.engine.max_queue == 4096);
  CHECK(file.engine.max_wait_ms == 2000);
  CHECK(file.engine.context == 0);
  CHECK(file.engine.free_memory_spread_bytes == 2ULL << 30);
  CHECK(file.startup_timeout_s == 60);
  CHECK(file.collective_timeout_ms == 10000);
  CHECK_FALSE(file.tls);
  CHECK_FALSE(file.allow_faults);
}

TEST_CASE("options are read with their units") {
  auto file = parse_cluster_file(R"(cluster: c
weights: random:qwen3-0.6b
nodes: {a: {address: node-1.example.org, port: 1, http: "[::]:80", api_key_file: key}}
groups: [{name: g, ranks: [a/cpu:0]}]
engine: {threads: 3, block_tokens: 32, kv_memory: 3 GiB, max_batch_tokens: 512, max_sequences: 8, max_queue: 1, max_wait: 60,
         context: 4096, free_memory_spread: 1048576}
startup_timeout_s: 5
collective_timeout_ms: 250
tls: {certificate: c.pem, key: k.pem, ca: /etc/ca.pem}
allow_faults: true
)",
                                 "/etc/troupe/t.yaml");
  CHECK(file.weights == "random:qwen3-0.6b");
  CHECK(file.model.empty());
  CHECK(file.nodes[0].http == host_port{"::", 80});
  CHECK(file.nodes[0].api_key_file == "/etc/troupe/key");
  CHECK(file.engine.threads == 3);
  CHECK(file.engine.block_tokens == 32);
  CHECK(file.engine.kv_memory_bytes == 3ULL << 30);
  CHECK(file.engine.free_memory_spread_bytes == 1ULL << 20);
  CHECK(file.engine.context == 4096);
  CHECK(file.engine.max_queue == 1);
  CHECK(file.engine.max_wait_ms == 60);
  CHECK(file.startup_timeout_s == 5);
  CHECK(file.collective_timeout_ms == 250);
  REQUIRE(file.tls);
  CHECK(file.tls->certificate == "/etc/troupe/c.pem");
  CHECK(file.tls->ca == "/etc/ca.pem");
  CHECK(file.allow_faults);
}

TEST_CASE("a relative path is looked for beside the file first and in the working directory next") {
  auto read = [](const char* model) {
    return parse_cluster_file(
               std::string("cluster: c\nmodel: ") + model +
                   "\nnodes: {a: {address: 127.0.0.1, port: 0}}\ngroups: [{name: g, ranks: [a/cpu:0]}]\n",
               TROUPE_SOURCE_DIR "/tests/data/t.yaml")
        .model;
  };
  CHECK(read("models/qwen3-tiny") == TROUPE_SOURCE_DIR "/tests/data/models/qwen3-tiny");
  // The test runs in the build folder, where its own program is and beside the file it is not.
  const auto here = std::filesystem::current_path().filename();
  CHECK(read(("../" + here.string()).c_str()) == std::filesystem::path("..") / here);
  CHECK(read("no-such-folder") == TROUPE_SOURCE_DIR "/tests/data/no-such-folder");
}

TEST_CASE("two files that differ in one byte have different fingerprints") {
  std::string text = two_machines;
  auto first = parse_cluster_file(text, "t.yaml", {.insecure = true}).fingerprint;
  CHECK(first == parse_cluster_file(text, "elsewhere.yaml", {.insecure = true}).fingerprint);
  CHECK(first != parse_cluster_file(text + " ", "t.yaml", {.insecure = true}).fingerprint);
}

TEST_CASE("the example files are right") {
  auto demo = load_cluster_file(TROUPE_SOURCE_DIR "/examples/demo.yaml");
  CHECK(demo.cluster == "demo");
  CHECK(demo.model == TROUPE_SOURCE_DIR "/models/demo");
  CHECK(demo.groups[0].tensor == 2);
  CHECK(demo.isolation == isolation_mode::process);
  CHECK(demo.nodes[0].http == host_port{"127.0.0.1", 8080});
  CHECK(load_cluster_file(TROUPE_SOURCE_DIR "/examples/pipeline.yaml").groups[0].pipeline == 2);
  CHECK(load_cluster_file(TROUPE_SOURCE_DIR "/examples/two_nodes.yaml").groups.size() == 2);
}
