// The steps of the tour: each does one thing to a program's memory and tells what it was seen to do.
#pragma once

#include <faultline/address_space.hpp>
#include <faultline/layout.hpp>
#include <faultline/pager.hpp>

#include <span>

namespace faultline::demo::anatomy {

class Tour {
public:
    Tour(Pager& pager, AddressSpace& space, std::span<const ImageSegment> image) noexcept
        : pager_{pager}, space_{space}, image_{image} {}

    /// An access to a page of text that is not there: it comes from the file.
    void fault_text_in();

    /// The break goes up, a page is used, the break goes down again.
    void move_the_break();

    /// A page of data is written: it leaves the file behind, which stays as it is.
    void write_data();

    /// The stack is used further down.
    void grow_the_stack();

    /// A write to text is refused, and survived.
    void write_text();

    /// A clone, at `place`, reads a page of the space and then writes to it.
    void write_to_a_clone(const ClonePlace& place);

    /// A function calls itself until its stack, one of a pool, is at its end.
    void overflow_a_stack();

    /// Whether everything was as it should be.
    [[nodiscard]] bool as_expected() const noexcept { return as_expected_; }

private:
    [[nodiscard]] const ImageSegment* part(Access access) const noexcept;
    [[nodiscard]] std::byte* begin_of(const ImageSegment& part) const noexcept { return space_.image() + part.address; }
    void expect(bool holds, const char* what);

    Pager& pager_;
    AddressSpace& space_;
    std::span<const ImageSegment> image_;
    bool as_expected_ = true;
};

}  // namespace faultline::demo::anatomy
