// SPDX-License-Identifier: Apache-2.0
#include "topology/yaml_tree.hpp"

#include <cstddef>
#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace troupe {

namespace {

constexpr std::size_t depth_max = 16;
constexpr std::size_t values_max = 65536;

int line_of(const YAML::Mark& mark) { return mark.is_null() ? 1 : mark.line + 1; }

/// Builds the tree from the parser's events, refusing what is out of bounds at the event that exceeds them.
class tree_builder : public YAML::EventHandler {
 public:
  yaml_tree take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { leaf(mark, anchor, {}); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    yaml_tree tree;
    tree.what = yaml_tree::kind::scalar;
    tree.scalar = value;
    tree.quoted = tag == "!";
    leaf(mark, anchor, std::move(tree));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(mark, anchor, yaml_tree::kind::sequence);
  }

  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(mark, anchor, yaml_tree::kind::map);
  }

  void OnMapEnd() override { close(); }

 private:
  static void refuse_anchor(const YAML::Mark& mark) {
    throw yaml_error(line_of(mark), "anchors and aliases (& and *) are not read; write the value out");
  }

  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw yaml_error(line_of(mark), "tags (!) are not read; leave the tag out");
  }

  void leaf(const YAML::Mark& mark, YAML::anchor_t anchor, yaml_tree tree) {
    if (anchor != YAML::NullAnchor) refuse_anchor(mark);
    tree.line = line_of(mark);
    add(mark, std::move(tree));
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, yaml_tree::kind what) {
    if (anchor != YAML::NullAnchor) refuse_anchor(mark);
    if (open_.size() >= depth_max) throw yaml_error(line_of(mark), "more than 16 levels deep; a topology needs 5");
    if (!open_.empty() && expects_key(open_.back()))
      throw yaml_error(line_of(mark), "a key is a list or a map; a key is a word");
    open_.emplace_back();
    open_.back().tree.what = what;
    open_.back().tree.line = line_of(mark);
  }

  void close() {
    auto done = std::move(open_.back().tree);
    open_.pop_back();
    place(std::move(done));
  }

  void add(const YAML::Mark& mark, yaml_tree tree) {
    if (++values_ > values_max) throw yaml_error(line_of(mark), "more than 65,536 values; a topology needs fewer");
    if (!open_.empty() && expects_key(open_.back())) {
      auto& parent = open_.back();
      parent.tree.entries.push_back({tree.scalar, tree.line, {}});
      parent.has_key = true;
      return;
    }
    place(std::move(tree));
  }

  void place(yaml_tree tree) {
    if (open_.empty()) {
      root_ = std::move(tree);
    } else if (auto& parent = open_.back(); parent.tree.what == yaml_tree::kind::sequence) {
      parent.tree.items.push_back(std::move(tree));
    } else {
      parent.tree.entries.back().value = std::move(tree);
      parent.has_key = false;
    }
  }

  struct level {
    yaml_tree tree;
    bool has_key = false;  ///< of a map: the last entry waits for its value
  };

  static bool expects_key(const level& x) { return x.tree.what == yaml_tree::kind::map && !x.has_key; }

  yaml_tree root_;
  std::vector<level> open_;
  std::size_t values_ = 0;
};

}  // namespace

yaml_tree parse_yaml(std::string_view text) {
  std::istringstream input{std::string(text)};
  tree_builder builder;
  try {
    YAML::Parser parser(input);
    parser.HandleNextDocument(builder);
    auto tree = builder.take();
    tree_builder rest;
    if (parser.HandleNextDocument(rest)) throw yaml_error(1, "more than one document; write a single one, without ---");
    return tree;
  } catch (const YAML::Exception& error) {
    throw yaml_error(line_of(error.mark), "no valid YAML: " + error.msg);
  }
}

}  // namespace troupe
