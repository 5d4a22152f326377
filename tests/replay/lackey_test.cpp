// import_lackey() turns the output of Valgrind's tool Lackey into page references.
#include "replay/lackey.hpp"

#include <gmock/gmock.h>

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

using bench::import_lackey;
using bench::Instructions;
using bench::LackeyImport;
using bench::PageReference;
using testing::ElementsAre;

class Lackey : public testing::Test {
protected:
    LackeyImport import(const std::string& text, std::uint32_t page_bytes = 4096,
                        Instructions instructions = Instructions::leave_out) {
        std::istringstream in{text};
        return import_lackey(in, page_bytes, instructions,
                             [this](PageReference reference) { references_.push_back(reference); });
    }

    const std::string sample_ =
        "==14405== Lackey, an example Valgrind tool\n"
        "==14405== \n"
        "I  0401ab70,3\n"
        "I  0401ab73,5\n"
        " S 1fff0006f8,8\n"
        " L 1fff0006f0,8\n"
        "I  0401b770,1\n"
        " M 1fff001000,4\n"
        " L 1fff000ff0,8\n"
        "==14405== \n";
    std::vector<PageReference> references_;
};

TEST_F(Lackey, DataAccessesBecomeReferences) {
    const LackeyImport imported = import(sample_);
    EXPECT_THAT(references_, ElementsAre(PageReference{0x1fff000, true}, PageReference{0x1fff001, true},
                                         PageReference{0x1fff000, false}));
    EXPECT_EQ(imported.accesses, 4U);
    EXPECT_EQ(imported.references, 3U);
    EXPECT_EQ(imported.skipped_lines, 0U);
}

TEST_F(Lackey, InstructionFetchesBecomeReferencesOnRequest) {
    const LackeyImport imported = import(sample_, 4096, Instructions::include);
    EXPECT_THAT(references_,
                ElementsAre(PageReference{0x401a, false}, PageReference{0x1fff000, true}, PageReference{0x401b, false},
                            PageReference{0x1fff001, true}, PageReference{0x1fff000, false}));
    EXPECT_EQ(imported.accesses, 7U);
}

TEST_F(Lackey, ConsecutiveReferencesToAPageMergeAndAnyWriteCounts) {
    import(" L 1000,8\n L 1008,8\n S 1010,8\n L 1018,8\n L 2000,1\n L 2001,1\n");
    EXPECT_THAT(references_, ElementsAre(PageReference{1, true}, PageReference{2, false}));
}

TEST_F(Lackey, AccessAcrossPagesIsSplit) {
    import(" S 1ffc,8\n");
    EXPECT_THAT(references_, ElementsAre(PageReference{1, true}, PageReference{2, true}));
}

TEST_F(Lackey, PageNumbersFollowTheRequestedPageSize) {
    import(" L 0,1\n L ffff,1\n L 10000,1\n", 65536);
    EXPECT_THAT(references_, ElementsAre(PageReference{0, false}, PageReference{1, false}));
}

TEST_F(Lackey, OutputOfTheProgramItselfIsSkipped) {
    const LackeyImport imported = import(
        " L 1000,8\nHello\n\n L 2000\n L 2000,\n L 2000,0\n L 2000,8 bytes\n L zzz,8\n S ffffffffffffffff,2\n"
        " L 2000,99999999999\nL 2000,8\n L 12345678123456789,8\n");
    EXPECT_THAT(references_, ElementsAre(PageReference{1, false}));
    EXPECT_EQ(imported.skipped_lines, 11U);
}

TEST_F(Lackey, TextWithoutAnyAccessIsRefused) {
    EXPECT_THROW(import(""), std::runtime_error);
    EXPECT_THROW(import("==1== Lackey\n"), std::runtime_error);
    EXPECT_THROW(import("I  0401ab70,3\n"), std::runtime_error) << "instruction fetches alone were accepted";
}

TEST_F(Lackey, ExceptionOfTheSinkPropagates) {
    std::istringstream in{" L 1000,8\n L 2000,8\n"};
    EXPECT_THROW(
        import_lackey(in, 4096, Instructions::leave_out, [](PageReference) { throw std::length_error{"full"}; }),
        std::length_error);
}

}  // namespace
}  // namespace faultline::test
