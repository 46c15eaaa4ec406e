namespace Megaphone.Protocol;

/// <summary>What <see cref="PacketSplitter.Next"/> found.</summary>
internal enum SplitResult
{
    /// <summary>A complete packet is at the front.</summary>
    Packet,

    /// <summary>More bytes are needed; nothing was consumed.</summary>
    Incomplete,

    /// <summary>The stream is malformed, and stays so; <see cref="PacketSplitter.Fault"/> tells in what way.</summary>
    Malformed,
}
