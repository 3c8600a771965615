<?php
// Calls METHOD URL with TOKEN the way the documentation shows; prints the body and the status.
[, $method, $url, $token] = $argv;

$options = [
    CURLOPT_URL => $url,
    CURLOPT_RETURNTRANSFER => true,
    CURLOPT_ENCODING => "",
    CURLOPT_MAXREDIRS => 10,
    CURLOPT_TIMEOUT => 30,
    CURLOPT_FOLLOWLOCATION => true,
    CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
    CURLOPT_CUSTOMREQUEST => $method,
    CURLOPT_HTTPHEADER => ["authorization: Bearer " . $token],
];
if ($method === "POST") {
    $options[CURLOPT_POSTFIELDS] = "";
}
$curl = curl_init();
curl_setopt_array($curl, $options);
$body = curl_exec($curl);
if ($body === false) {
    fwrite(STDERR, curl_error($curl) . "\n");
    exit(1);
}
echo $body, "\n", curl_getinfo($curl, CURLINFO_RESPONSE_CODE), "\n";
