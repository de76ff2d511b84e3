// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/tokenize_command.hpp"

#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/text/text_file.hpp"
#include "runtime/text/tokenizer.hpp"
#include "runtime/text/tokenizer_error.hpp"

namespace troupe {
namespace {

using nlohmann::json;

json encode_line(const tokenizer& t, const json& line, const tokenize_options& options) {
  if (!line.is_string())
    throw tokenizer_error("a line is a JSON string; this one is a " + std::string(line.type_name()));
  encode_options how;
  how.add_special_tokens = options.add_special_tokens;
  return t.encode(line.get_ref<const std::string&>(), how);
}

json decode_line(const tokenizer& t, const json& line, const tokenize_options& options) {
  if (!line.is_array())
    throw tokenizer_error("a line is a JSON array of ids; this one is a " + std::string(line.type_name()));
  std::vector<token_id> ids;
  ids.reserve(line.size());
  for (const json& id : line) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 ||
        id.get<std::int64_t>() >= std::int64_t(t.vocabulary_size()))
      throw tokenizer_error(id.dump().substr(0, 64) + " is not the id of a token");
    ids.push_back(id.get<token_id>());
  }
  return t.decode(ids, options.skip_special);
}

json parse_line(const std::string& line) {
  if (json_depth(line) > 1) throw tokenizer_error("a line is nested; a JSON string or an array of ids is needed");
  try {
    return json::parse(line);
  } catch (const json::exception& error) {
    throw tokenizer_error(std::string("a line is not valid JSON: ") + error.what());
  }
}

}  // namespace

int tokenize_command(const tokenize_options& options, std::istream& in, std::ostream& out, std::ostream& errors) {
  std::optional<tokenizer> t;
  try {
    t.emplace(tokenizer::from_folder(options.model));
  } catch (const tokenizer_error& error) {
    errors << "troupe tokenize: " << error.what() << '\n';
    return 2;
  }
  int code = 0;
  for (std::string line; std::getline(in, line);) {
    json result;
    try {
      const json input = parse_line(line);
      result = options.decode ? decode_line(*t, input, options) : encode_line(*t, input, options);
    } catch (const tokenizer_error& error) {
      result = {{"error", error.what()}};
      code = 1;
    }
    // An error message may quote bytes that are not UTF-8.
    out << result.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
  }
  out.flush();
  return code;
}

}  // namespace troupe
