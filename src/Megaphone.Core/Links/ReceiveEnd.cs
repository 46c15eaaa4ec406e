using Megaphone.Protocol;

namespace Megaphone.Links;

/// <summary>Why a receiver stopped.</summary>
/// <param name="Reason">In words, for the log.</param>
/// <param name="Orderly">The peer ended the stream between two packets.</param>
/// <param name="Fault">The malformed header, if that was the reason.</param>
internal readonly record struct ReceiveEnd(string Reason, bool Orderly = false, PacketFault? Fault = null);
