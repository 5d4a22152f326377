#include "tool/stacks/flame_graph.hpp"

#include "display/format.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

namespace faultline::tool {
namespace {

using display::printed;

constexpr double kWidth = 1200;
constexpr double kRow = 18;
constexpr double kTop = 54;
constexpr double kBottom = 34;
constexpr double kLetter = 6.7;  // pixels of a letter of kFontSize, at most
constexpr double kLeastWidth = 0.3;
constexpr std::array<const char*, trace::kSampledKinds> kKindNames{"first touch", "hard fault", "soft fault",
                                                                   "first write", "wait"};
constexpr std::array<const char*, trace::kSampledKinds> kKindColours{"#f2c14e", "#d1495b", "#7fb069", "#5b8fb9",
                                                                     "#9d8ec7"};

/// A call below the same calls, with all samples that have it.
struct Node {
    double lost = 0;
    double faults = 0;
    int kind = -1;  // of a leaf: a kind of fault
    std::map<std::string, std::unique_ptr<Node>> calls;

    Node& below(const std::string& name) {
        std::unique_ptr<Node>& node = calls[name];
        if (!node) node = std::make_unique<Node>();
        return *node;
    }
    void add(const AnalysedSample& sample) noexcept {
        lost += sample.lost;
        faults += sample.faults;
    }
    [[nodiscard]] std::size_t depth() const {
        std::size_t deepest = 0;
        for (const auto& call : calls) deepest = std::max(deepest, call.second->depth());
        return deepest + 1;
    }
};

std::string escaped(std::string_view text) {
    std::string safe;
    for (const char letter : text) {
        switch (letter) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            default:
                // XML has no other control characters, and a name with bytes beyond ASCII may not be UTF-8.
                safe += letter >= ' ' && letter <= '~' ? letter : '?';
        }
    }
    return safe;
}

/// The name of a call without its offset, so that calls from several instructions are one rectangle.
std::string name_of(const CodePlace& place) {
    if (!place.function.empty()) return place.function;
    return place.object.empty() ? place.name() : "[" + place.object_name() + "]";
}

/// A warm colour that depends on the name alone, so that two graphs can be compared.
std::string colour_of(const std::string& name) {
    std::uint32_t hash = 2166136261U;
    for (const char letter : name) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619U;
    return printed("hsl(%u,62%%,%u%%)", 18 + hash % 32, 66 + hash / 32 % 14);
}

class Drawing {
public:
    Drawing(double total, std::size_t depth) : total_{total}, depth_{depth} {}

    void draw(const std::string& name, const Node& node, double x, std::size_t row) {
        const double width = total_ > 0 ? node.lost / total_ * kWidth : 0;
        if (width < kLeastWidth) return;
        const double y = kTop + static_cast<double>(depth_ - 1 - row) * kRow;
        const std::string title =
            printed("%s: %.2f ms, %.1f%% of the time lost; %.0f faults", name.c_str(), node.lost / 1e6,
                    total_ > 0 ? 100 * node.lost / total_ : 0, std::round(node.faults));
        const std::string colour = node.kind >= 0 ? kKindColours[static_cast<std::size_t>(node.kind)] : colour_of(name);
        text_ += printed(
            "<g class=\"f\"><title>%s</title><rect x=\"%.4f\" y=\"%.0f\" width=\"%.4f\" height=\"%.0f\" fill=\"%s\"/>",
            escaped(title).c_str(), x, y, width, kRow - 1, colour.c_str());
        const auto letters = static_cast<std::size_t>(std::max(0.0, (width - 6) / kLetter));
        if (letters >= 3) {
            const std::string shown = name.size() <= letters ? name : name.substr(0, letters - 2) + "..";
            text_ += printed("<text x=\"%.2f\" y=\"%.0f\">%s</text>", x + 3, y + kRow - 5, escaped(shown).c_str());
        }
        text_ += "</g>\n";
        double at = x;
        for (const auto& [called, below] : node.calls) {
            draw(called, *below, at, row + 1);
            at += total_ > 0 ? below->lost / total_ * kWidth : 0;
        }
    }

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

private:
    double total_;
    std::size_t depth_;
    std::string text_;
};

std::string legend(double y) {
    std::string text;
    double x = 10;
    for (std::size_t kind = 0; kind < kKindNames.size(); ++kind) {
        text += printed(
            "<rect x=\"%.0f\" y=\"%.0f\" width=\"12\" height=\"12\" fill=\"%s\"/><text x=\"%.0f\" "
            "y=\"%.0f\">%s</text>\n",
            x, y, kKindColours[kind], x + 17, y + 10, kKindNames[kind]);
        x += 110;
    }
    return text;
}

Node tree_of(const StackAnalysis& analysis) {
    Node root;
    const bool several =
        std::any_of(analysis.samples.begin(), analysis.samples.end(),
                    [&](const AnalysedSample& sample) { return sample.session != analysis.samples.front().session; });
    for (const AnalysedSample& sample : analysis.samples) {
        root.add(sample);
        Node* node = &root;
        const auto enter = [&](const std::string& name) {
            node = &node->below(name);
            node->add(sample);
        };
        if (several) {
            const std::string& path = sample.session->executable;
            enter(path.substr(path.rfind('/') + 1) + " " + std::to_string(sample.session->pid));
        }
        for (auto place = sample.stack.rbegin(); place != sample.stack.rend(); ++place) {
            enter(name_of(analysis.places[*place]));
        }
        const auto kind = static_cast<std::size_t>(sample.sample->kind);
        enter(kKindNames[kind]);
        node->kind = static_cast<int>(kind);
    }
    return root;
}

}  // namespace

std::string flame_graph(const StackAnalysis& analysis) {
    const Node root = tree_of(analysis);
    const std::size_t depth = root.depth();
    const double height = kTop + static_cast<double>(depth) * kRow + kBottom;
    Drawing drawing{root.lost, depth};
    drawing.draw("all", root, 0, 0);
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" +
           printed(
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n",
               kWidth, height, kWidth, height) +
           "<style>text{font:11px Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#222}.t{font-size:16px}"
           ".f:hover rect{stroke:#222;stroke-width:1}</style>\n"
           "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n" +
           printed("<text class=\"t\" x=\"10\" y=\"22\">Time lost to page faults: %s</text>\n",
                   display::format_nanoseconds(static_cast<std::uint64_t>(root.lost)).c_str()) +
           printed(
               "<text x=\"10\" y=\"40\">%s faults, %s stacks; a call is as wide as the time that its faults "
               "took</text>\n",
               display::format_count(static_cast<std::uint64_t>(std::llround(root.faults))).c_str(),
               display::format_count(analysis.samples.size()).c_str()) +
           drawing.text() + legend(height - kBottom + 14) + "</svg>\n";
}

}  // namespace faultline::tool
