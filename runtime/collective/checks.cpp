// SPDX-License-Identifier: Apache-2.0
#include "runtime/collective/checks.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

namespace troupe {

namespace {

constexpr std::size_t name_length_max = 200;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' ||
         c == '_' || c == '-';
}

}  // namespace

void check_membership(const communicator_options& options, int size_max) {
  if (options.size < 1 || options.size > size_max)
    throw std::invalid_argument(fmt::format("a group of {} ranks: 1 to {} are possible", options.size, size_max));
  if (options.rank < 0 || options.rank >= options.size)
    throw std::invalid_argument(
        fmt::format("rank {} in a group of {}: 0 to {} are possible", options.rank, options.size, options.size - 1));
  const bool valid = !options.name.empty() && options.name.size() <= name_length_max &&
                     std::all_of(options.name.begin(), options.name.end(), is_name_character);
  if (!valid)
    throw std::invalid_argument(fmt::format("group name \"{}\": 1 to {} letters, digits and / . _ - are possible",
                                            options.name, name_length_max));
}

void check_rank(int rank, int size) {
  if (rank < 0 || rank >= size)
    throw std::invalid_argument(fmt::format("rank {} in a group of {}: 0 to {} are possible", rank, size, size - 1));
}

void check_other_rank(int peer, int rank, int size) {
  check_rank(peer, size);
  if (peer == rank) throw std::invalid_argument(fmt::format("rank {} sends to or receives from itself", rank));
}

void check_gather_sizes(std::size_t mine, std::size_t all, int size) {
  if (all != mine * static_cast<std::size_t>(size))
    throw std::invalid_argument(
        fmt::format("all_gather of {} bytes from each of {} ranks into {} bytes", mine, size, all));
}

}  // namespace troupe
