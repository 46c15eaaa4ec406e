namespace Megaphone.Handover;

/// <summary>A state that was handed over cannot be taken over; the message says what is wrong with it.</summary>
internal sealed class StateException(string message) : Exception(message);
