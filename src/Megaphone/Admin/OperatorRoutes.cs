using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Megaphone.Configuration;
using Megaphone.Operator;
using Megaphone.Values;
using Microsoft.AspNetCore.Http;

namespace Megaphone.Admin;

/// <summary>What there is over the operator's socket only: questions with GET and orders with POST, with parameters in the query and answers in
/// JSON.</summary>
/// <param name="desk">Answers and follows.</param>
/// <param name="reload">Orders a reload, and answers the waiter at its end.</param>
internal sealed class OperatorRoutes(IOperatorDesk desk, Action<ReloadWaiter> reload)
{
    private const string Json = "application/json";
    private const int DefaultMost = 100, Most = 1_000_000;

    private static readonly ValueFormat<TimeSpan> Over = ValueFormats.Duration(TimeSpan.Zero, TimeSpan.FromDays(1), TimeSpan.FromMinutes(1));

    /// <summary>Whether there is something at a path.</summary>
    public static bool Has(string? path) => MethodOf(path) is not null;

    /// <summary>Serves a request for one of these paths.</summary>
    /// <param name="context">The request.</param>
    /// <param name="connection">What it came over.</param>
    public async Task ServeAsync(HttpContext context, Socket connection)
    {
        string path = context.Request.Path.Value!, method = MethodOf(path)!;
        if (context.Request.Method != method)
        {
            context.Response.Headers.Allow = method;
            await RespondAsync(context, StatusCodes.Status405MethodNotAllowed, Write(new Answer($"Only {method}."), OperatorJson.Default.Answer));
            return;
        }

        if (path == "/reload")
        {
            ReloadWaiter waiter = new(connection);
            reload(waiter);
            ReloadOutcome outcome = await waiter.Outcome;
            await RespondAsync(context, outcome.Status, outcome.ToJson());
            return;
        }

        (int status, byte[] body) = await AnswerAsync(path, context.Request.Query);
        await RespondAsync(context, status, body);
    }

    private static string? MethodOf(string? path) => path switch
    {
        "/clients" or "/config" => HttpMethods.Get,
        "/reload" or "/kick" or "/drain" or "/undrain" or "/loglevel" => HttpMethods.Post,
        _ => null,
    };

    private async Task<(int Status, byte[] Body)> AnswerAsync(string path, IQueryCollection query)
    {
        try
        {
            return (StatusCodes.Status200OK, path switch
            {
                "/clients" => Write(
                    await desk.FindClientsAsync(NetworkIn(query), NumberIn(query, "limit") ?? DefaultMost), OperatorJson.Default.ClientsReport),
                "/config" => Write(desk.ReadConfiguration(), OperatorJson.Default.ConfigurationReport),
                _ => Write(await FollowAsync(path, query), OperatorJson.Default.Answer),
            });
        }
        catch (FormatException error)
        {
            return (StatusCodes.Status400BadRequest, Write(new Answer(error.Message), OperatorJson.Default.Answer));
        }
        catch (OrderException error)
        {
            return (StatusCodes.Status409Conflict, Write(new Answer(error.Message), OperatorJson.Default.Answer));
        }
    }

    private Task<Answer> FollowAsync(string path, IQueryCollection query) => path switch
    {
        "/kick" when NetworkIn(query) is { } network => desk.KickAsync(network),
        "/kick" => desk.KickAsync(IdIn(query)),
        "/drain" => desk.DrainAsync(TextIn(query, "over") is { } over ? Read(Over, "--over", over) : null, TextIn(query, "server")),
        "/undrain" => desk.UndrainAsync(),
        _ => Task.FromResult(desk.SetLogLevel(
            TextIn(query, "category") ?? throw new FormatException("There is no category; for example megaphone loglevel Megaphone.Links Debug"),
            Read(SettingFormats.Level, "the level", TextIn(query, "level") ?? ""))),
    };

    private static string? TextIn(IQueryCollection query, string name) => query[name] is [{ Length: > 0 } text] ? text : null;

    /// <summary>A network; an address alone is that with nobody beside it.</summary>
    private static IPNetwork? NetworkIn(IQueryCollection query)
    {
        if (TextIn(query, "address") is not { } text) return null;
        if (IPAddress.TryParse(text, out IPAddress? alone)) text = $"{alone}/{8 * alone.GetAddressBytes().Length}";
        return Read(SettingFormats.Network, "--address", text);
    }

    private static int? NumberIn(IQueryCollection query, string name) =>
        TextIn(query, name) is { } text ? Read(ValueFormats.Number(0, Most, DefaultMost), $"--{name}", text) : null;

    private static ulong IdIn(IQueryCollection query) =>
        ulong.TryParse(TextIn(query, "id"), NumberStyles.None, CultureInfo.InvariantCulture, out ulong id) && id > 0
            ? id
            : throw new FormatException(
                "There is no client's id, and no --address; for example megaphone kick 4294967297, as megaphone clients lists it");

    private static T Read<T>(ValueFormat<T> format, string name, string text) =>
        format.Read(text, out T value) is { } wrong ? throw new FormatException($"{name} \"{text}\" {wrong}; for example {format.Example}") : value;

    private static byte[] Write<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(value, type);

    private static Task RespondAsync(HttpContext context, int status, byte[] body) => AdminApplication.RespondAsync(context, status, body, Json);
}
