namespace Megaphone.Links;

/// <summary>What became of a packet that a receiver handed on.</summary>
internal enum PacketVerdict
{
    /// <summary>It was taken.</summary>
    Taken,

    /// <summary>There is no room for what it would cause: hand it over again later, and read nothing until then.</summary>
    NoRoom,

    /// <summary>The link must be closed; the sink knows why.</summary>
    Close,
}
