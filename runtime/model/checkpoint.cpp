// SPDX-License-Identifier: Apache-2.0
#include "runtime/model/checkpoint.hpp"

#include <cstring>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runtime/model/errors.hpp"
#include "runtime/model/json_check.hpp"

namespace troupe {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t index_bytes_max = 16U << 20;
constexpr std::size_t files_max = 1024;

/// An index may name files beside it only: anything with a path could read any file of the machine.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
}

/// Old exports store what is computed from the configuration anyway.
bool is_known_extra(const std::string& name, const model_config& config) {
  return name.ends_with(".rotary_emb.inv_freq") || (config.tied_embeddings && name == "lm_head.weight");
}

std::map<std::string, std::string> read_index(const fs::path& file) {
  const file_mapping mapping(file);
  const auto fail = [&](const std::string& what) { throw weights_error(fmt::format("{}: {}", file.string(), what)); };
  const auto bytes = mapping.bytes();
  if (bytes.size() > index_bytes_max)
    fail(fmt::format("it has {} bytes; at most {} are allowed", bytes.size(), index_bytes_max));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (auto error = find_json_error(text); !error.empty()) fail(error);
  const auto index = nlohmann::json::parse(text);
  if (!index.contains("weight_map") || !index["weight_map"].is_object()) fail("\"weight_map\" must be an object");
  std::map<std::string, std::string> result;
  for (const auto& [tensor, name] : index["weight_map"].items()) {
    if (!name.is_string() || !is_plain_name(name.get<std::string>()))
      fail(fmt::format("tensor \"{}\" must be mapped to the name of a file in the same folder", tensor.substr(0, 128)));
    result.emplace(tensor, name.get<std::string>());
  }
  return result;
}

}  // namespace

checkpoint::checkpoint(const fs::path& folder, const model_config& config) {
  const auto single = folder / "model.safetensors";
  const auto index = folder / "model.safetensors.index.json";
  if (fs::exists(index))
    open_indexed(index);
  else if (fs::exists(single))
    open_single(single);
  else
    throw weights_error(folder.string() + ": there is neither model.safetensors nor model.safetensors.index.json");
  check(folder, config);
}

void checkpoint::open_single(const fs::path& file) {
  files_.emplace_back(file);
  for (const auto& [name, tensor] : files_.front().tensors())
    tensors_.emplace(name, &tensor);
}

void checkpoint::open_indexed(const fs::path& index) {
  const auto map = read_index(index);
  std::set<std::string> names;
  for (const auto& [tensor, name] : map)
    names.insert(name);
  if (names.size() > files_max)
    throw weights_error(
        fmt::format("{}: it names {} files; at most {} are allowed", index.string(), names.size(), files_max));
  files_.reserve(names.size());
  for (const auto& name : names) {
    const auto file = index.parent_path() / name;
    if (!fs::exists(file)) throw weights_error(fmt::format("{}: it names {}, which is missing", index.string(), name));
    for (const auto& [tensor, stored] : files_.emplace_back(file).tensors()) {
      const auto entry = map.find(tensor);
      if (entry == map.end() || entry->second != name)
        throw weights_error(fmt::format("{}: it has tensor \"{}\", which {} maps to {}", file.string(), tensor,
                                        index.filename().string(), entry == map.end() ? "no file" : entry->second));
      tensors_.emplace(tensor, &stored);
    }
  }
  for (const auto& [tensor, name] : map)
    if (!tensors_.contains(tensor))
      throw weights_error(
          fmt::format("{}: tensor \"{}\" is not in {}, to which it is mapped", index.string(), tensor, name));
}

void checkpoint::check(const fs::path& folder, const model_config& config) const {
  std::set<std::string> expected;
  for (const auto& spec : model_tensors(config)) {
    expected.insert(spec.name);
    const auto fail = [&](const std::string& what) {
      throw weights_error(fmt::format("{}: tensor \"{}\" {}", folder.string(), spec.name, what));
    };
    const auto found = tensors_.find(spec.name);
    if (found == tensors_.end()) fail("is missing");
    const auto& tensor = *found->second;
    if (tensor.type != "BF16")
      fail(fmt::format("is {}; only BF16 weights are supported, so convert the model first", tensor.type));
    const auto shape =
        spec.vector ? std::vector<std::uint64_t>{spec.columns} : std::vector<std::uint64_t>{spec.rows, spec.columns};
    if (tensor.shape != shape)
      fail(fmt::format("has the shape [{}]; config.json asks for [{}]", fmt::join(tensor.shape, ", "),
                       fmt::join(shape, ", ")));
  }
  for (const auto& [name, tensor] : tensors_)
    if (!expected.contains(name) && !is_known_extra(name, config))
      throw weights_error(fmt::format("{}: tensor \"{}\" does not belong to the model of config.json", folder.string(),
                                      name.substr(0, 128)));
}

const bf16* checkpoint::find(const tensor_spec& spec, const tensor_slice& slice) const {
  const auto* data = tensors_.at(spec.name)->bytes.data();
  const bool contiguous = slice.columns.count == spec.columns || spec.rows == 1;
  // The format does not promise alignment; what is not aligned is copied.
  if (!contiguous || reinterpret_cast<std::uintptr_t>(data) % alignof(bf16) != 0) return nullptr;
  return reinterpret_cast<const bf16*>(data) + slice.rows.begin * spec.columns + slice.columns.begin;
}

void checkpoint::read(const tensor_spec& spec, const tensor_slice& slice, bf16* to) const {
  const auto* data = tensors_.at(spec.name)->bytes.data();
  for (auto row = slice.rows.begin; row < slice.rows.end(); ++row, to += slice.columns.count)
    std::memcpy(to, data + (row * spec.columns + slice.columns.begin) * sizeof(bf16),
                slice.columns.count * sizeof(bf16));
}

}  // namespace troupe
