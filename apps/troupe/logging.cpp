// SPDX-License-Identifier: Apache-2.0
#include "apps/troupe/logging.hpp"

#include <array>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace troupe {

void start_logging(const std::string& role, const std::string& level) {
  constexpr std::array<std::pair<const char*, spdlog::level::level_enum>, 5> levels{{{"trace", spdlog::level::trace},
                                                                                     {"debug", spdlog::level::debug},
                                                                                     {"info", spdlog::level::info},
                                                                                     {"warning", spdlog::level::warn},
                                                                                     {"error", spdlog::level::err}}};
  for (const auto& [name, value] : levels) {
    if (level != name) continue;
    auto logger = spdlog::stderr_color_mt(role);
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %^%-7l%$ |%n| %v");
    logger->set_level(value);
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
    return;
  }
  throw std::invalid_argument(fmt::format("'{}' is no log level; use trace, debug, info, warning or error", level));
}

}  // namespace troupe
