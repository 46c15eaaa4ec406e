using System.Runtime.InteropServices;

namespace Megaphone.Web;

/// <summary>The input of one web connection between two bytes: 24 bytes. The default is a connection whose head has not begun.</summary>
/// <remarks>
/// It owns the native memory at <see cref="Buffer"/>, so it must not be copied. Aligned to four bytes, so that other state beside it needs
/// no padding.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal unsafe struct WebState
{
    /// <summary>What has arrived and cannot be used yet, in native memory; null when there is nothing.</summary>
    internal byte* Buffer;

    /// <summary>Bytes in the buffer that are a head, or the beginning of a message.</summary>
    internal int Length;

    /// <summary>Bytes that are missing of the payload of the frame that is being read.</summary>
    internal int Remaining;

    /// <summary>The key of that payload, for its next byte.</summary>
    internal uint Mask;

    /// <summary>Bytes behind those: a part of a frame's header, or of a control frame, as it arrived.</summary>
    internal byte Pending;

    /// <summary>What is being read.</summary>
    internal WebReading Reading;

    /// <summary>How far the XMPP stream is.</summary>
    internal FramedLife Stream;

    /// <summary>Whether its client has not logged in: then it gets less memory. For its owner to set.</summary>
    internal bool IsStranger;

    /// <summary>Bytes of the buffer that are in use: they determine its size.</summary>
    internal readonly int Used => Length + Pending;
}
