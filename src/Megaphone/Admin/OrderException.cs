namespace Megaphone.Admin;

/// <summary>An order of an operator cannot be followed; the message says why.</summary>
internal sealed class OrderException(string message) : Exception(message);
