using System.Globalization;

namespace Megaphone.Bench;

/// <summary>The clients' accounts.</summary>
internal sealed record LoginOptions
{
    /// <summary>Stands in a pattern for the client's number.</summary>
    public const string NumberMark = "{0}";

    /// <summary>How they log in.</summary>
    public required LoginMethod Method { get; init; }

    /// <summary>The server's domain.</summary>
    public string Domain { get; init; } = "localhost";

    /// <summary>The pattern of their names.</summary>
    public string User { get; init; } = "user" + NumberMark;

    /// <summary>The pattern of their passwords.</summary>
    public string Password { get; init; } = "pass" + NumberMark;

    /// <summary>The number of the first client. Default 1.</summary>
    public int First { get; init; } = 1;

    /// <summary>The name of a client, counted from 1.</summary>
    public string UserOf(int number) => Fill(User, number);

    /// <summary>The password of a client, counted from 1.</summary>
    public string PasswordOf(int number) => Fill(Password, number);

    private string Fill(string pattern, int number) =>
        pattern.Replace(NumberMark, (First - 1 + number).ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
}
