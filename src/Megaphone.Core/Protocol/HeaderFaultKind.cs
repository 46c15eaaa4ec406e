namespace Megaphone.Protocol;

/// <summary>
/// What is wrong with a packet header, in the order in which a header is checked (section 1 of the link protocol).
/// </summary>
internal enum HeaderFaultKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>One of bytes 0 to 9 is not a decimal digit.</summary>
    LengthNotDigits,

    /// <summary>The length is less than the header's own 32 bytes; known at byte 9.</summary>
    LengthBelowHeader,

    /// <summary>The length is above the receiver's limit; known at byte 9.</summary>
    LengthAboveLimit,

    /// <summary>Byte 10 is not <c>|</c>.</summary>
    LengthSeparator,

    /// <summary>One of bytes 11 to 30 is not a decimal digit.</summary>
    IdNotDigits,

    /// <summary>The id is above 2^64-1; known at byte 30.</summary>
    IdTooLarge,

    /// <summary>Byte 31 is not <c>|</c>.</summary>
    IdSeparator,
}
