// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/checkpoint.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "runtime/model/errors.hpp"
#include "tests/unit/runtime/model/small_model.hpp"
#include "tests/unit/runtime/model/temporary_folder.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;

namespace {

const model_config config = small_config();

void check_refused(const temporary_folder& folder, const std::string& what, const std::string& reason) {
  INFO("expected: " << what << " " << reason);
  CHECK_THROWS_MATCHES(checkpoint(folder.path(), config), weights_error,
                       MessageMatches(ContainsSubstring(what) && ContainsSubstring(reason)));
}

void check_single_refused(const std::vector<header_entry>& entries, const std::string& what,
                          const std::string& reason) {
  const temporary_folder folder;
  folder.write("model.safetensors", file_bytes(entries));
  check_refused(folder, what, reason);
}

/// Offsets follow each other again after a test changed entries.
std::vector<header_entry> packed(std::vector<header_entry> entries) {
  std::uint64_t offset = 0;
  for (auto& entry : entries) {
    const auto bytes = entry.end - entry.begin;
    entry.begin = offset;
    entry.end = offset += bytes;
  }
  return entries;
}

/// The model in two files and an index whose weight_map a test may change.
struct two_files {
  temporary_folder folder;
  std::map<std::string, std::string> map;

  two_files() {
    const auto entries = header_of(model_tensors(config));
    const auto middle = entries.begin() + static_cast<std::ptrdiff_t>(entries.size() / 2);
    const std::vector<header_entry> parts[] = {packed({entries.begin(), middle}), packed({middle, entries.end()})};
    for (std::size_t i = 0; i < 2; ++i) {
      const auto name = fmt::format("part-{}.safetensors", i);
      folder.write(name, file_bytes(parts[i]));
      for (const auto& entry : parts[i])
        map[entry.name] = name;
    }
    write_index();
  }

  void write_index() const {
    std::string text = "{\"metadata\": {}, \"weight_map\": {";
    for (const auto& [tensor, file] : map)
      text += fmt::format("{}\"{}\": \"{}\"", text.ends_with('{') ? "" : ",", tensor, file);
    folder.write("model.safetensors.index.json", text + "}}");
  }
};

}  // namespace

TEST_CASE("a checkpoint in one file gives slices in place or copied, with the same values") {
  const temporary_folder folder;
  folder.write("model.safetensors", file_bytes(header_of(model_tensors(config))));
  const checkpoint weights(folder.path(), config);
  const auto gate = make_layer_tensors(config, 1).gate;
  const tensor_slice rows{{5, 3}, {0, gate.columns}};
  std::vector<bf16> copied(rows.elements());
  weights.read(gate, rows, copied.data());
  const auto* in_place = weights.find(gate, rows);
  // The header's length decides whether the data is aligned; both ways must work.
  if (in_place != nullptr) CHECK(std::equal(copied.begin(), copied.end(), in_place));
  const tensor_slice part{{5, 3}, {4, 2}};
  CHECK(weights.find(gate, part) == nullptr);
  std::vector<bf16> cut(part.elements());
  weights.read(gate, part, cut.data());
  for (std::size_t row = 0; row < 3; ++row)
    for (std::size_t column = 0; column < 2; ++column)
      CHECK(cut[row * 2 + column] == copied[row * gate.columns + 4 + column]);
}

TEST_CASE("a folder without weights, and each tensor missing, unexpected or of another shape or type, is named") {
  check_refused(temporary_folder(), "model.safetensors.index.json", "neither");
  const auto good = header_of(model_tensors(config));
  auto entries = good;
  entries.erase(entries.begin() + 3);
  check_single_refused(packed(entries), good[3].name, "is missing");
  entries = good;
  entries.push_back({"model.layers.2.mlp.up_proj.weight", "BF16", "[1]", good.back().end, good.back().end + 2});
  check_single_refused(entries, "model.layers.2.mlp.up_proj.weight", "does not belong");
  entries = good;
  entries[0].shape = fmt::format("[{},{}]", config.hidden_size, config.vocabulary_size);
  check_single_refused(entries, "model.embed_tokens.weight", "[32, 11]; config.json asks for [11, 32]");
  entries = good;
  entries[0].type = "F16";
  check_single_refused(entries, "model.embed_tokens.weight", "only BF16");
}

TEST_CASE("tensors that old exports carry along are passed over") {
  const temporary_folder folder;
  auto entries = header_of(model_tensors(config));
  const auto end = entries.back().end;
  entries.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", "F32", "[8]", end, end + 32});
  folder.write("model.safetensors", file_bytes(entries));
  CHECK_NOTHROW(checkpoint(folder.path(), config));
}

TEST_CASE("a checkpoint in several files has the tensors of all") {
  const two_files files;
  const checkpoint weights(files.folder.path(), config);
  const auto norm = final_norm_tensor(config);
  std::vector<bf16> values(norm.columns);
  CHECK_NOTHROW(weights.read(norm, {{0, 1}, {0, norm.columns}}, values.data()));
}

TEST_CASE("an index that names what is not there, or what is elsewhere, is refused") {
  {
    two_files files;
    std::filesystem::remove(files.folder.path() / "part-1.safetensors");
    check_refused(files.folder, "part-1.safetensors", "missing");
  }
  {
    two_files files;
    files.map["extra"] = "part-0.safetensors";
    files.write_index();
    check_refused(files.folder, "extra", "is not in part-0");
  }
  {
    two_files files;
    files.map["model.norm.weight"] = "part-0.safetensors";
    files.write_index();
    check_refused(files.folder, "model.norm.weight", "maps to part-0");
  }
  {
    two_files files;
    files.map.erase("model.norm.weight");
    files.write_index();
    check_refused(files.folder, "model.norm.weight", "no file");
  }
}

TEST_CASE("an index cannot reach outside its folder") {
  for (const auto* name : {"../part-0.safetensors", "/etc/passwd", "..", ".", "", "a/b", "a\\\\b"}) {
    two_files files;
    files.map["model.norm.weight"] = name;
    files.write_index();
    check_refused(files.folder, "model.norm.weight", "name of a file in the same folder");
  }
}

TEST_CASE("an index that is not a clean JSON object with a weight_map is refused") {
  for (const auto& [text, reason] :
       {std::pair{"[]", "not a JSON object"}, std::pair{"{}", "weight_map"},
        std::pair{R"({"weight_map": 3})", "weight_map"}, std::pair{R"({"weight_map": {"a": 3}})", "same folder"},
        std::pair{R"({"weight_map": {"a": "x", "a": "y"}})", "appears twice"}}) {
    const temporary_folder folder;
    folder.write("model.safetensors.index.json", text);
    check_refused(folder, "index.json", reason);
  }
}
